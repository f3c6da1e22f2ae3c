"""Activation functions by the names that configs use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway.errors import ConfigError, did_you_mean
from headway.nn.linear import Linear
from headway.nn.packed import is_watched

Activation = Callable[[Tensor], Tensor]
_tanh_gelu = partial(F.gelu, approximate="tanh")
# Numbers from which on memory for a result costs more than computing it: it comes anew from the system each time.
_MANY = 1 << 18


def _quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


def _unchanged(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: dict[str, Activation] = {
    "gelu": F.gelu,
    "gelu_python": F.gelu,
    "gelu_new": _tanh_gelu,
    "gelu_fast": _tanh_gelu,
    "gelu_pytorch_tanh": _tanh_gelu,
    "gelu_accurate": _tanh_gelu,
    "gelu_10": lambda x: F.gelu(x).clamp(-10, 10),
    "quick_gelu": _quick_gelu,
    "relu": F.relu,
    "relu2": lambda x: F.relu(x).square(),
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "silu": F.silu,
    "swish": F.silu,
    "mish": F.mish,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "linear": _unchanged,
}


_IN_PLACE: dict[Activation, Activation] = {
    F.gelu: torch.ops.aten.gelu_,
    _tanh_gelu: partial(torch.ops.aten.gelu_, approximate="tanh"),
    F.relu: torch.relu_,
    F.silu: partial(F.silu, inplace=True),
}


def activated(act: Activation, x: Tensor, layer: nn.Module) -> Tensor:
    """``act(x)``, in the memory of ``x`` where that is large and nobody else looks at it.

    Args:
        x: what ``layer`` has just come to.
    """
    if (
        torch.is_grad_enabled()
        or is_watched(x)  # first: a tracer may not know how large it is
        or x.numel() < _MANY
        or act not in _IN_PLACE
        or not isinstance(layer, Linear)
        or layer._forward_hooks
    ):
        return act(x)
    return _IN_PLACE[act](x)


def activation(name: str) -> Activation:
    """The function called ``name``; raises ``ConfigError``, offering the nearest name, where there is none."""
    if name not in ACTIVATIONS:
        raise ConfigError(f"The activation {name!r} is unknown.{did_you_mean(name, ACTIVATIONS)}")
    return ACTIVATIONS[name]
