"""Attention kernels of one signature.

A kernel takes ``q [b, heads, n, d]``, ``k`` and ``v`` ``[b, kv_heads, m, d]`` and returns the mixed values
``[b, heads, n, d]`` and, where it has them, the attention weights ``[b, heads, n, m]``. ``mask`` is None, boolean
(True: visible) or additive; ``causal`` says that query i sees keys 0 to i, with no mask besides. A ``Scoring`` says how
a score is made.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from headway.errors import ConfigError, did_you_mean
from headway.nn.kernels.eager import eager
from headway.nn.kernels.scoring import Scoring
from headway.nn.kernels.sdpa import sdpa

Kernel = Callable[[Tensor, Tensor, Tensor, Tensor | None, bool, Scoring, float], tuple[Tensor, Tensor | None]]

__all__ = ["KERNELS", "Kernel", "Scoring", "eager", "kernel", "sdpa"]

KERNELS: dict[str, Kernel] = {"eager": eager, "sdpa": sdpa}


def kernel(name: str | None) -> Kernel:
    """The kernel for ``attn_implementation=name``; None is the fastest. Raises ``ConfigError`` for an unknown one."""
    if name is None:
        return sdpa
    if name not in KERNELS:
        raise ConfigError(
            f"attn_implementation={name!r} is unknown; headway has {', '.join(KERNELS)}.{did_you_mean(name, KERNELS)}"
        )
    return KERNELS[name]
