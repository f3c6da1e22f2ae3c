"""The linear layer and the lookup table that all modules use: torch's, without initialising twice.

Weights are filled from a file or by ``models.initialise``, so the constructors leave them alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway.nn.packed import Packed, is_watched


class Linear(nn.Linear):
    """``x @ weight.T + bias`` over the last axis."""

    packed: Packed | None
    # What the spread of new weights is multiplied by, where it follows from the number of inputs.
    gain: float = 1.0

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        # Past nn.Linear and nn.Module.__setattr__: half of the modules of a model are these.
        nn.Module.__init__(self)
        self.__dict__.update(in_features=in_features, out_features=out_features, packed=None)
        self._parameters["weight"] = nn.Parameter(torch.empty(out_features, in_features))
        self._parameters["bias"] = nn.Parameter(torch.empty(out_features)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        if self.packed is not None and not torch.is_grad_enabled():
            found = self.packed.product(x)
            if found is not None:
                return found
        own: Any = self._parameters
        try:
            weight, bias = own["weight"], own["bias"]
        except KeyError:  # another module computes them
            weight, bias = self.weight, self.bias
        return product(x, weight, bias)


def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x @ weight.T + bias``.

    A single token in bfloat16 goes to a kernel for vectors, which reads the weight half as fast again and rounds alike.
    """
    if (
        x.dtype is torch.bfloat16 is weight.dtype
        and not torch.is_grad_enabled()
        and not is_watched(x)  # before its size, which a tracer may not know
        and x.numel() == x.shape[-1]
        and x.is_cpu
        and weight.stride(1) == 1
    ):
        vector = x.reshape(-1)
        found = torch.mv(weight, vector) if bias is None else torch.addmv(bias, weight, vector)
        return found.view(*x.shape[:-1], -1)
    return F.linear(x, weight, bias)


def laid_out(weight: Tensor) -> Tensor:
    """``weight [out, in]`` with its numbers in the order that products of few rows read fastest.

    That is input by input, but in bfloat16, whose kernels go output by output.
    """
    return weight.contiguous() if weight.dtype is torch.bfloat16 else weight.t().contiguous().t()


class Embedding(nn.Embedding):
    """A table of vectors by id."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are."""


class Siblings:
    """Linear layers over the same input, for which one product may do.

    Attributes:
        with_gradients: gradients go through the product too.
    """

    with_gradients: ClassVar[bool] = False

    def __init__(self, layers: Mapping[str, Any]) -> None:
        self.layers = dict(layers)
        self.widths = [layer.out_features for layer in layers.values()]

    def stands(self, owner: nn.Module) -> bool:
        """Is every layer still the owner's and what it was, and nobody looking on through hooks?"""
        raise NotImplementedError

    def product(self, x: Tensor) -> Tensor | None:
        """The outputs side by side, or None where the layers are to compute them themselves."""
        raise NotImplementedError


class FloatSiblings(Siblings):
    """Those with parameters, which are not to leave their places."""

    def __init__(self, layers: Mapping[str, Linear]) -> None:
        super().__init__(layers)
        self._places = []
        for name, layer in layers.items():
            bias_at = 0 if layer.bias is None else layer.bias.data_ptr()
            self._places.append((name, layer, layer._parameters, layer.weight.data_ptr(), bias_at))

    def stands(self, owner: nn.Module) -> bool:
        modules = owner._modules
        for name, layer, parameters, weight_at, bias_at in self._places:
            weight, bias = parameters.get("weight"), parameters.get("bias")
            if (
                modules.get(name) is not layer
                or layer._forward_hooks
                or layer._forward_pre_hooks
                or weight is None
                or weight.data_ptr() != weight_at
                or (bias is not None and bias.data_ptr() != bias_at)
            ):
                return False
        return True


class Joint(FloatSiblings):
    """Layers whose weights lie side by side, which they keep as views of the joint memory.

    What changes them in place changes both.
    """

    def __init__(self, layers: Mapping[str, Linear]) -> None:
        self.weight = laid_out(torch.cat([layer.weight.data for layer in layers.values()]))
        biases = [layer.bias.data for layer in layers.values() if layer.bias is not None]
        self.bias = torch.cat(biases) if biases else None
        widths = [layer.out_features for layer in layers.values()]
        for layer, weight in zip(layers.values(), self.weight.split(widths), strict=True):
            layer.weight.data = weight
        if self.bias is not None:
            for layer, bias in zip(layers.values(), self.bias.split(widths), strict=True):
                layer.bias.data = bias
        super().__init__(layers)

    def __reduce__(self) -> Any:
        """A copy lays its own layers side by side."""
        return (Joint, (self.layers,))

    def product(self, x: Tensor) -> Tensor:
        return product(x, self.weight, self.bias)


class PackedSiblings(FloatSiblings):
    """Layers whose weights are brought into a kernel's order side by side."""

    def __init__(self, layers: Mapping[str, Linear]) -> None:
        super().__init__(layers)
        self._packed = Packed(list(layers.values()))

    def __reduce__(self) -> Any:
        """There is none of a copy, as of ``Packed``."""
        return (type(None), ())

    def product(self, x: Tensor) -> Tensor | None:
        return self._packed.product(x)


def side_by_side(owner: nn.Module, x: Tensor) -> Sequence[Tensor]:
    """The outputs of the owner's ``siblings``, its linear layers over ``x``; in one product where that is possible."""
    joint: Siblings | None = owner.joint  # type: ignore[assignment]
    if joint is not None and (joint.with_gradients or not torch.is_grad_enabled()) and joint.stands(owner):
        found = joint.product(x)
        if found is not None:
            return torch.split_with_sizes(found, joint.widths, -1)
    modules: Any = owner._modules
    return [modules[name](x) for name in owner.siblings]  # type: ignore[union-attr]
