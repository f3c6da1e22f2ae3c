"""From a part of a model to a file, by torch's exporter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from headway.errors import ExportError
from headway.logging import silenced
from headway.onnx.parts import SIZES, Part


@contextmanager
def still(model: Any) -> Iterator[None]:
    """Evaluation without gradients, which choose other steps; training goes on as before afterwards."""
    modes = {module: module.training for module in model.modules()}
    learns = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.eval().requires_grad_(False)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for parameter in learns:
            parameter.requires_grad_(True)


def write(part: Part, folder: Path, opset: int) -> None:
    """Write the graph of ``part`` into ``folder``; raises ``ExportError``."""
    inputs, _ = part.example(SIZES[0])
    part(inputs)  # what modules keep is made by this pass: they must keep nothing of one whose numbers are symbols
    try:
        # With gradients on, linear layers side by side run one by one, and nobody asks where symbols lie in memory.
        with silenced("torch.onnx", "onnxscript", "onnx_ir"), torch.enable_grad():
            program: Any = torch.onnx.export(
                part,
                kwargs={"inputs": inputs},
                dynamo=True,
                verbose=False,
                opset_version=opset,
                input_names=list(part.inputs),
                output_names=list(part.outputs),
                dynamic_shapes={"inputs": {name: dict(axes) for name, axes in part.inputs.items()}},
            )
            for name in (f"{part.name}.onnx", f"{part.name}.onnx.data"):
                (folder / name).unlink(missing_ok=True)
            program.save(folder / f"{part.name}.onnx")
    except Exception as error:
        cause = error.__cause__ or error
        raise ExportError(
            f"The {part.name} of {type(part.model).__name__} cannot be traced: {first_line(cause)}."
        ) from error


def first_line(error: BaseException) -> str:
    """The beginning of a message, to stand within a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")
