"""Products by whole numbers beside those of one quantised layer: of several side by side, and of a table of floats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway.nn.linear import Linear, Siblings
from headway.nn.packed import MappedFiles, let_go, marks_of, stands
from headway.nn.quantised import Int8Linear, QuantisedLinear


class QuantisedSiblings(Siblings):
    """Quantised layers of one kind whose numbers are brought into the kernel's order side by side.

    Their input is rounded once, and what a call of the kernel costs besides is paid once.
    """

    with_gradients: ClassVar[bool] = True

    def __init__(self, layers: Mapping[str, QuantisedLinear]) -> None:
        super().__init__(layers)
        self._whole: QuantisedLinear | None = None
        self._stands = True

    def __reduce__(self) -> Any:
        """A copy joins its own layers."""
        return (QuantisedSiblings, (self.layers,))

    def stands(self, owner: nn.Module) -> bool:
        if self._stands:
            modules: Any = owner._modules
            for name, layer in self.layers.items():
                if (
                    modules.get(name) is not layer
                    or layer._forward_hooks
                    or layer._forward_pre_hooks
                    or not layer.is_part_of(self._whole)
                ):
                    # For good: to join anew whenever a layer is run by itself would cost more than it saves.
                    self._stands, self._whole = False, None
                    break
        return self._stands

    def product(self, x: Tensor) -> Tensor | None:
        if x.device.type != "cpu":
            return None
        layers = list(self.layers.values())
        if self._whole is None:
            kernel = type(layers[0]).kernel_on(x.device)
            assert kernel is not None
            self._whole = type(layers[0]).joined(layers, kernel)
        biases = [layer.bias for layer in layers]
        return self._whole.with_bias(x, None if biases[0] is None else torch.cat(biases))


class RoundedLinear(Linear):
    """A linear layer by a copy of its weight in 8 bits, made when it is first run, and again where the weight changed.

    The weight stays what it is, since it is a token table too, which is looked up row by row. A gradient goes to it and
    to the input as if nothing had been rounded.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias)
        self._numbers: Any = None
        self._marks: Any = None

    @classmethod
    def of(cls, layer: Linear) -> RoundedLinear:
        """The layer with the parameters of ``layer``."""
        with torch.device("meta"):
            found = cls(layer.in_features, layer.out_features, layer.bias is not None)
        found._parameters.update(layer._parameters)
        return found.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            out: Tensor = _Through.apply(x, self.weight, self.bias, self)
            return out
        return self.compute(x)

    def compute(self, x: Tensor) -> Tensor:
        """The layer without gradients; by the weight itself where there is no kernel."""
        if self.weight.is_inference() or Int8Linear.kernel_on(x.device) is None:
            return F.linear(x, self.weight, self.bias)
        if self._numbers is None or not stands(self.weight, self._marks):
            with torch.inference_mode(False), torch.no_grad():
                # Not as a module of this one, whose tensors would be saved.
                self.__dict__.update(_numbers=Int8Linear.of(self.weight, None), _marks=marks_of(self.weight))
                if MappedFiles().can_pack(self.weight):
                    let_go(self.weight)
        found: Tensor = self._numbers.compute(x, self.bias)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """A copy rounds its own weight."""
        return {**self.__dict__, "_numbers": None, "_marks": None}


class _Through(torch.autograd.Function):
    """A rounded layer; gradients as of the weight itself."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, layer: RoundedLinear) -> Tensor:
        ctx.save_for_backward(x, weight)
        return layer.compute(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        to_input, to_weight, to_bias, _ = ctx.needs_input_grad
        return (
            grad @ weight if to_input else None,
            grad.flatten(0, -2).t() @ x.flatten(0, -2) if to_weight else None,
            grad.flatten(0, -2).sum(0) if to_bias else None,
            None,
        )
