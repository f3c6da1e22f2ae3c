"""The linear layer and the lookup table that all modules use: torch's, without initialising twice.

Weights are filled from a file or by ``models.initialise``, so the constructors leave them alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Bytes of linear weights up to which a model's are laid out anew: a copy of so little costs next to nothing.
SMALL = 128 << 20


class Linear(nn.Linear):
    """``x @ weight.T + bias`` over the last axis."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        # Past nn.Linear and nn.Module.__setattr__: half of the modules of a model are these.
        nn.Module.__init__(self)
        self.__dict__.update(in_features=in_features, out_features=out_features)
        self._parameters["weight"] = nn.Parameter(torch.empty(out_features, in_features))
        self._parameters["bias"] = nn.Parameter(torch.empty(out_features)) if bias else None


class Embedding(nn.Embedding):
    """A table of vectors by id."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are."""


class Joint:
    """Linear layers over the same input whose weights lie side by side, so that one product does for all of them.

    The layers keep their parameters, as views of the joint memory: what changes them in place changes both.
    """

    def __init__(self, layers: Mapping[str, Linear]) -> None:
        self.layers = dict(layers)
        self.widths = [layer.out_features for layer in layers.values()]
        self.weight = torch.cat([layer.weight.data for layer in layers.values()]).t().contiguous().t()
        biases = [layer.bias.data for layer in layers.values() if layer.bias is not None]
        self.bias = torch.cat(biases) if biases else None
        for layer, weight in zip(layers.values(), self.weight.split(self.widths), strict=True):
            layer.weight.data = weight
        if self.bias is not None:
            for layer, bias in zip(layers.values(), self.bias.split(self.widths), strict=True):
                layer.bias.data = bias
        self._places = []
        for name, layer in layers.items():
            bias_at = 0 if layer.bias is None else layer.bias.data_ptr()
            self._places.append((name, layer, layer._parameters, layer.weight.data_ptr(), bias_at))

    def __reduce__(self) -> Any:
        """A copy lays its own layers side by side."""
        return (Joint, (self.layers,))

    def stands(self, owner: nn.Module) -> bool:
        """Is every layer still the owner's, its parameters where they were, and nobody looking on through hooks?"""
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


def side_by_side(owner: nn.Module, x: Tensor) -> Sequence[Tensor]:
    """The outputs of the owner's ``siblings``, its linear layers over ``x``; in one product where that is possible."""
    joint: Joint | None = owner.joint  # type: ignore[assignment]
    if joint is None or torch.is_grad_enabled() or not joint.stands(owner):
        modules: Any = owner._modules
        return [modules[name](x) for name in owner.siblings]  # type: ignore[union-attr]
    return torch.split_with_sizes(F.linear(x, joint.weight, joint.bias), joint.widths, -1)


@torch.no_grad()
def lay_back(model: nn.Module) -> None:
    """Undo ``lay_out``: weights lie in rows again, as their gradients will.

    Fused optimizers go through weights and gradients as these lie in memory, and take for granted that they lie alike.
    """
    for module in model.modules():
        if getattr(module, "joint", None) is not None:
            module.joint = None  # type: ignore[assignment]
        if isinstance(module, Linear):
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.contiguous()


@torch.no_grad()
def lay_out(model: nn.Module) -> None:
    """Lay the weights of a small model's linear layers out as ``[in, out]`` in memory; their shape stays ``[out, in]``.

    A product of few rows then reads memory in order: the same bits, in 0.4 to 0.9 of the time at 16 rows. Layers that a
    module names as ``siblings`` come to lie side by side. Larger models keep their weights where they are, in the
    mapped file.
    """
    modules = list(model.modules())
    layers = {id(m.weight): m for m in modules if isinstance(m, Linear)}
    if sum(layer.weight.nbytes for layer in layers.values()) > SMALL:
        return
    tables = {id(m.weight) for m in modules if isinstance(m, Embedding)}
    for key, layer in layers.items():
        # A table that is tied to a linear layer is read by rows.
        if key not in tables and layer.weight.device.type == "cpu":
            layer.weight.data = layer.weight.data.t().contiguous().t()
    for module in modules:
        siblings = {name: module._modules[name] for name in getattr(module, "siblings", ())}
        linear = all(isinstance(m, Linear) and m.weight.device.type == "cpu" for m in siblings.values())
        if linear and len({m.bias is None for m in siblings.values()}) == 1:  # type: ignore[union-attr]
            module.joint = Joint(siblings)  # type: ignore[arg-type, assignment]
