"""A graph in onnxruntime beside the model that it was made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from headway.errors import ExportError
from headway.onnx.parts import SIZES, Part, Size
from headway.onnx.tracing import first_line


def difference(part: Part, folder: Path, limit: float) -> float:
    """The largest difference at all sizes, as a share of the largest value where that is above one.

    Raises:
        ExportError: onnxruntime does not run the graph, or a difference is above ``limit``.
    """
    import onnxruntime

    with _explained(f"onnxruntime does not take {part.name}.onnx"):
        session = onnxruntime.InferenceSession(folder / f"{part.name}.onnx", providers=["CPUExecutionProvider"])
    return max(_at(size, part, session, limit) for size in SIZES)


def _at(size: Size, part: Part, session: Any, limit: float) -> float:
    inputs, expected = part.example(size)
    with _explained(f"onnxruntime does not run {part.name}.onnx at {size}"):
        given = session.run(list(part.outputs), {name: tensor.cpu().numpy() for name, tensor in inputs.items()})
    largest = 0.0
    for name, values in zip(part.outputs, given, strict=True):
        got, wanted = torch.from_numpy(values), expected[name].cpu()
        if got.shape != wanted.shape:
            raise ExportError(
                f"{part.name}.onnx gives {name!r} of shape {list(got.shape)} at {size}, where the model gives "
                f"{list(wanted.shape)}; nothing was written."
            )
        apart = float((got - wanted).abs().max() / wanted.abs().max().clamp(min=1))
        if not apart <= limit:  # no number is no agreement either
            raise ExportError(
                f"{part.name}.onnx gives {name!r} {apart:.1e} from the model at {size}, more than {limit:.0e}; nothing "
                "was written."
            )
        largest = max(largest, apart)
    return largest


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise ExportError(f"{what}: {first_line(error)}.") from error
