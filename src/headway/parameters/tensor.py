"""What is known of a tensor without its numbers, and those of the modules that everything is made of."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from headway import spec


class Tensor(NamedTuple):
    """A tensor: ``learned`` is False of buffers, ``linear`` True of the weights of linear layers."""

    shape: tuple[int, ...]
    learned: bool = True
    linear: bool = False

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


Tensors = Iterator[tuple[str, Tensor]]


def under(path: str, tensors: Tensors) -> Tensors:
    """``tensors`` of the module at ``path``."""
    return ((f"{path}.{name}", tensor) for name, tensor in tensors)


def linear(path: str, inputs: int, outputs: int, bias: bool = True) -> Tensors:
    """A linear layer."""
    yield f"{path}.weight", Tensor((outputs, inputs), linear=True)
    if bias:
        yield f"{path}.bias", Tensor((outputs,))


def table(path: str, rows: int, width: int) -> Tensors:
    """A table that rows are looked up in."""
    yield f"{path}.weight", Tensor((rows, width))


def norm(path: str, norm: spec.Norm | None, width: int) -> Tensors:
    """A norm over ``width`` channels, or none."""
    if norm is None or isinstance(norm, spec.BareLayerNorm):
        return
    yield f"{path}.weight", Tensor((width,))
    if isinstance(norm, spec.LayerNorm):
        yield f"{path}.bias", Tensor((width,))
