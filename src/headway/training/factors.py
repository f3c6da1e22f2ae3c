"""What factor the learning rate has at a step.

Each is a function of the step, counted from 0, in which a warm-up from 0 to 1 takes the first ``warmup`` steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

Factor = Callable[..., float]


def after_warmup(later: Factor) -> Factor:
    """``later`` behind a linear warm-up."""

    @wraps(later)
    def factor(step: int, warmup: int, *args: Any, **kwargs: Any) -> float:
        return step / warmup if step < warmup else later(step, warmup, *args, **kwargs)

    return factor


def _progress(step: int, warmup: int, total: int) -> float:
    """How much of the steps after the warm-up is done, 1 at the end."""
    return (step - warmup) / max(1, total - warmup)


def _wave(progress: float, cycles: float) -> float:
    """A cosine from 1, which falls to 0 in half a cycle."""
    return max(0.0, 0.5 * (1 + math.cos(2 * math.pi * cycles * progress)))


@after_warmup
def constant(step: int, warmup: int) -> float:
    """1."""
    return 1.0


@after_warmup
def linear(step: int, warmup: int, total: int) -> float:
    """A line to 0 at ``total``."""
    return max(0.0, 1 - _progress(step, warmup, total))


@after_warmup
def cosine(step: int, warmup: int, total: int, cycles: float = 0.5, lowest: float = 0.0) -> float:
    """A cosine of ``cycles`` periods that falls to ``lowest`` (SGDR, Loshchilov and Hutter 2016, arXiv:1608.03983)."""
    return _wave(_progress(step, warmup, total), cycles) * (1 - lowest) + lowest


@after_warmup
def cosine_with_restarts(step: int, warmup: int, total: int, cycles: float = 1) -> float:
    """``cycles`` cosines to 0 one after another, each of which starts at 1 again (arXiv:1608.03983)."""
    progress = _progress(step, warmup, total)
    return 0.0 if progress >= 1 else _wave(cycles * progress % 1, 0.5)


@after_warmup
def polynomial(step: int, warmup: int, total: int, power: float = 1.0, lowest: float = 0.0) -> float:
    """A power of what is left of the steps, down to ``lowest``."""
    return lowest if step > total else (1 - lowest) * (1 - _progress(step, warmup, total)) ** power + lowest


@after_warmup
def inverse_sqrt(step: int, warmup: int, timescale: int) -> float:
    """``1 / sqrt`` of the steps, in units of ``timescale`` (Zhai et al. 2021, arXiv:2106.04560)."""
    return 1 / math.sqrt((step + timescale - warmup) / timescale)


# How warm-up and decay of ``warmup_stable_decay`` go from 0 to 1, by name.
RISES: dict[str, Callable[[float], float]] = {
    "linear": lambda progress: progress,
    "cosine": lambda progress: _wave(1 - progress, 0.5),
    "1-sqrt": lambda progress: 1 - math.sqrt(1 - progress),
}


def warmup_stable_decay(
    step: int,
    warmup: int,
    stable: int,
    decay: int,
    warmup_type: str = "linear",
    decay_type: str = "cosine",
    lowest: float = 0.0,
    cycles: float = 0.5,
) -> float:
    """A rise from ``lowest``, ``stable`` steps at 1, ``decay`` steps down (Hu et al. 2024, arXiv:2404.06395)."""
    if step < warmup:
        share = RISES[warmup_type](step / warmup)
    elif step < warmup + stable:
        share = 1.0
    elif step >= warmup + stable + decay:
        share = 0.0
    else:
        done = (step - warmup - stable) / decay
        share = _wave(done, cycles) if decay_type == "cosine" else RISES[decay_type](1 - done)
    return share * (1 - lowest) + lowest
