"""How a query and a key become a score, besides masks: the same for all kernels."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Scoring(NamedTuple):
    """``scale`` multiplies the scores, ``softcap`` bounds them before masks, ``sinks [heads]`` join the softmax."""

    scale: float
    softcap: float | None = None
    sinks: Tensor | None = None
