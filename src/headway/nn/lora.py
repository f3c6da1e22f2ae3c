"""What adapters put beside a module: low-rank additions to a linear layer, and parameters in the place of its own.

An addition looks on through a forward hook, for which every fast path steps aside. Where none is in use there is no
hook, and the layer gives the bits that it gave before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway.nn.quantised import QuantisedLinear

# The child of a module that holds what adapters put there; no file of a model has tensors of that name.
HOME = "adapters"

LinearLayer = nn.Linear | QuantisedLinear


class Lora(nn.Module):
    """``scale * b(a(x))`` beside a linear layer: Hu et al. 2021, arXiv:2106.09685.

    With a ``magnitude [out]``, the rows of the sum of both weights are given that length: DoRA (Liu et al. 2024,
    arXiv:2402.09353).

    Args:
        a: ``[rank, in]``; layers that files hold as one share it.
        b: ``[out, rank]``.
    """

    def __init__(self, a: nn.Parameter, b: Tensor, scale: float, dropout: float, magnitude: Tensor | None) -> None:
        super().__init__()
        self.a, self.b = a, nn.Parameter(b)
        self.magnitude = None if magnitude is None else nn.Parameter(magnitude)
        self.scale, self.dropout = scale, dropout

    def forward(self, layer: LinearLayer, x: Tensor, out: Tensor) -> Tensor:
        """What ``layer`` made of ``x`` with what the adapter adds."""
        drops = self.training and self.dropout > 0
        given = x.to(self.a.dtype)
        if drops:
            given = F.dropout(given, self.dropout)
        added = F.linear(F.linear(given, self.a), self.b) * self.scale
        if self.magnitude is not None:
            factor = self._factor(layer)
            if drops:
                plain = F.linear(given, weight_of(layer).to(given.dtype))
            else:
                plain = out if layer.bias is None else out - layer.bias
            added = (factor - 1) * plain + factor * added
        return out + added.to(out.dtype)

    def _factor(self, layer: LinearLayer) -> Tensor:
        """What the rows of the sum are multiplied by; their length counts as a constant, as in the paper."""
        with torch.no_grad():
            length = (weight_of(layer) + self._delta()).norm(dim=1)
        return self.magnitude / length

    def _delta(self) -> Tensor:
        return self.scale * (self.b @ self.a)

    def onto(self, weight: Tensor, layer: LinearLayer) -> Tensor:
        """``weight [out, in]`` with the adapter in it; ``layer`` has the weight that the adapter was made for."""
        weight = weight + self._delta()
        return weight if self.magnitude is None else weight * self._factor(layer)[:, None]


class Kept(nn.Module):
    """Parameters of an adapter that take the place of a module's own while it is in use; the others wait here."""

    def __init__(self, values: dict[str, Tensor]) -> None:
        super().__init__()
        for leaf, value in values.items():
            self.register_parameter(leaf, nn.Parameter(value))
        self.placed = False

    def exchange(self, owner: nn.Module) -> None:
        """Let the parameters here and those of ``owner`` change places."""
        for leaf, waiting in self._parameters.items():
            self._parameters[leaf], owner._parameters[leaf] = owner._parameters[leaf], waiting
        self.placed = not self.placed

    def own(self, owner: nn.Module) -> dict[str, nn.Parameter]:
        """The adapter's parameters by their names in ``owner``, wherever they are."""
        home = owner if self.placed else self
        return {leaf: home._parameters[leaf] for leaf in self._parameters}  # type: ignore[misc]


class Adapters(nn.ModuleDict):
    """What adapters put beside one module, by the adapters' names."""

    def __init__(self) -> None:
        super().__init__()
        self.used: tuple[str, ...] = ()
        self._hook: Any = None
        self.before: Tensor | None
        self.register_buffer("before", None, persistent=False)  # the layer's weight, while adapters are merged in it

    @property
    def loras(self) -> dict[str, Lora]:
        """The low-rank additions among them."""
        return {name: one for name, one in self.items() if isinstance(one, Lora)}

    def use(self, owner: nn.Module, names: Collection[str]) -> None:
        """Let those of ``names``, in that order, and no others change what ``owner`` does."""
        for name, one in self.items():
            if isinstance(one, Kept) and one.placed != (name in names):
                one.exchange(owner)
        self.used = tuple(name for name in names if name in self.loras)
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        if self.used and self.before is None:
            self._hook = owner.register_forward_hook(self._look_on)

    def _look_on(self, layer: Any, given: tuple[Tensor], out: Tensor) -> Tensor:
        for name in self.used:
            out = self[name](layer, given[0], out)
        return out

    @torch.no_grad()
    def merge(self, layer: Any) -> None:
        """Put what is in use into the layer's weight, which is remembered."""
        before = layer.weight.detach().clone()
        weight = before.to(torch.promote_types(before.dtype, torch.float32))
        for name in self.used:
            weight = self.loras[name].onto(weight, layer)
        layer.weight.data.copy_(weight)  # in place: weights may lie side by side in one memory
        self.before = before

    @torch.no_grad()
    def unmerge(self, layer: Any) -> None:
        """Give the layer its weight back, to the same bits."""
        if self.before is not None:
            layer.weight.data.copy_(self.before)
            self.before = None


def weight_of(layer: LinearLayer) -> Tensor:
    """The weight ``[out, in]`` of a linear layer, or that which its numbers stand for."""
    return layer.dequantised() if isinstance(layer, QuantisedLinear) else layer.weight


def adapters_of(module: nn.Module) -> Adapters | None:
    """What adapters put beside ``module``, if anything."""
    found = module._modules.get(HOME)
    return found if isinstance(found, Adapters) else None


def adapted(model: nn.Module) -> Iterator[tuple[str, nn.Module, Adapters]]:
    """Each module of ``model`` that adapters put something beside: its path, itself, and what that is."""
    for path, module in list(model.named_modules()):
        found = adapters_of(module)
        if found is not None:
            yield path, module, found


def is_adapters(name: str) -> bool:
    """Is the parameter or buffer ``name`` of a model an adapter's?"""
    return f".{HOME}." in f".{name}"
