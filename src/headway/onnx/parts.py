"""What of a model goes into one graph: named tensors to named tensors."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from headway.errors import ExportError
from headway.models.family import FamilyModel
from headway.nn.batch import padding_kept
from headway.onnx.config import Axes, OnnxConfig

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Size:
    """How large the tensors of a try are: rows, new tokens of a row, and tokens that came before."""

    rows: int
    width: int
    past: int


# The first is traced; the last has the others' relations turned round, and no past.
SIZES = (Size(2, 8, 3), Size(3, 13, 5), Size(1, 5, 0))


class Part(nn.Module):
    """A part of a model, called on a dictionary of inputs as a graph is.

    Attributes:
        name: what its file is called, without ``.onnx``.
        inputs, outputs: names, in order, to the axes of any length.
    """

    name: str
    inputs: Mapping[str, Axes]
    outputs: Mapping[str, Axes]

    def __init__(self, model: FamilyModel) -> None:
        super().__init__()
        self.model = model
        self.eval()

    def forward(self, inputs: Tensors) -> tuple[Tensor, ...]:
        """The outputs, by steps that depend on shapes alone."""
        with padding_kept():
            found = self.compute(inputs)
        return tuple(found[name] for name in self.outputs)

    def compute(self, inputs: Tensors) -> Mapping[str, Tensor]:
        """The outputs by name."""
        raise NotImplementedError

    def example(self, size: Size) -> tuple[Tensors, Mapping[str, Tensor]]:
        """Inputs of a size, and what the model as it is makes of them."""
        raise NotImplementedError


class Whole(Part):
    """A model from its inputs to its outputs.

    Raises:
        ExportError: it does not give what the config names.
    """

    name = "model"

    def __init__(self, model: FamilyModel, config: OnnxConfig) -> None:
        super().__init__(model)
        self.config, self.inputs = config, config.inputs
        keeps = "use_cache" in inspect.signature(model.forward).parameters
        self.options: dict[str, Any] = {"use_cache": False} if keeps else {}
        given = self.example(SIZES[0])[1]
        missing = [name for name in config.outputs if name not in given]
        # A backbone may have been built without its pooler.
        if missing and missing != ["pooler_output"]:
            raise ExportError(
                f"{type(model).__name__} gives no {missing[0]!r}, which {type(config).__name__}.outputs names; it "
                f"gives {', '.join(name for name, value in given.items() if isinstance(value, Tensor))}."
            )
        self.outputs = {name: axes for name, axes in config.outputs.items() if name in given}

    def compute(self, inputs: Tensors) -> Mapping[str, Tensor]:
        found: Mapping[str, Tensor] = self.model(**inputs, **self.options, return_dict=True)
        return found

    def example(self, size: Size) -> tuple[Tensors, Mapping[str, Tensor]]:
        inputs = self.config.generate_dummy_inputs(batch_size=size.rows, seq_length=size.width)
        inputs = {name: _placed(tensor, self.model) for name, tensor in inputs.items()}
        return inputs, self.compute(inputs)


def _placed(tensor: Tensor, model: FamilyModel) -> Tensor:
    return tensor.to(model.device, model.dtype if tensor.is_floating_point() else None)
