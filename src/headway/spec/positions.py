"""How a network knows where a token stands."""

from __future__ import annotations

from math import log

from headway.spec.norms import Norm
from headway.spec.part import part


@part
class Learned:
    """A table of ``count`` position vectors; the first token of a row reads row ``offset`` of it."""

    count: int
    offset: int = 0


@part
class Sinusoidal:
    """Computed vectors, sines before cosines (Vaswani et al. 2017, arXiv:1706.03762), for rows of any length.

    The first token of a row stands at position ``offset``; wavelengths grow from 2 pi towards 2 pi ``theta``.
    """

    offset: int = 0
    theta: float = 10000.0


@part
class RopeLinear:
    """Position interpolation (Chen et al. 2023, arXiv:2306.15595)."""

    factor: float


@part
class RopeDynamic:
    """NTK-aware base that grows with the sequence beyond ``original`` positions."""

    factor: float
    original: int


@part
class RopeYarn:
    """Peng et al. 2023, arXiv:2309.00071. ``attention_factor`` scales cos and sin (None: from the factor)."""

    factor: float
    original: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    mscale: float | None = None
    mscale_all_dim: float | None = None
    attention_factor: float | None = None
    truncate: bool = True

    def magnitude(self, weight: float) -> float:
        """By how much attention is sharpened, ``weight`` being ``mscale`` or ``mscale_all_dim``."""
        return 1.0 if self.factor <= 1 else 0.1 * weight * log(self.factor) + 1.0


@part
class RopeLong:
    """LongRoPE (Ding et al. 2024, arXiv:2402.13753): ``short`` up to ``original`` positions, ``long`` beyond."""

    short: tuple[float, ...]
    long: tuple[float, ...]
    original: int
    attention_factor: float


@part
class RopeLlama3:
    """Llama 3.1's scaling of the low frequencies alone."""

    factor: float
    low: float
    high: float
    original: int


RopeScaling = RopeLinear | RopeDynamic | RopeYarn | RopeLong | RopeLlama3


@part
class Rotary:
    """Rotary positions (Su et al. 2021, arXiv:2104.09864) on the first ``width`` channels of each head, in halves."""

    width: int
    theta: float = 10000.0
    scaling: RopeScaling | None = None


@part
class StoredRotary(Rotary):
    """Rotary positions whose frequencies are stored with the weights, rounded as they were in training."""


@part
class RelativeBias:
    """T5's bucketed bias (Raffel et al. 2020, arXiv:1910.10683), one table for all layers that name it."""

    heads: int
    buckets: int
    max_distance: int
    bidirectional: bool


@part
class GridBias:
    """BEiT's learned bias for each head and offset between two patches (Bao et al. 2021, arXiv:2106.08254).

    ``grid`` counts patches down and across, after one class token.
    """

    heads: int
    grid: tuple[int, int]


@part
class LayerBias:
    """A bias that ``layer`` has to itself, where layers that name an equal one would share it."""

    bias: RelativeBias | GridBias
    layer: int


@part
class RelativeTable:
    """DeBERTa's table of relative positions (He et al. 2021, arXiv:2006.03654), read by ``Disentangled``.

    Distances up to ``span`` keep a row each; with ``log_until`` they are bucketed on a log scale up to there.
    """

    width: int
    span: int
    log_until: int | None = None
    norm: Norm | None = None


@part
class Alibi:
    """Scores fall with the distance to the key, by a slope for each head (Press et al. 2021, arXiv:2108.12409)."""

    slopes: tuple[float, ...]


@part
class RoundedAlibi:
    """ALiBi as Falcon was trained with it: slope times the key's position, rounded to bfloat16, times ``scale``.

    What all keys of a query gain cancels in the softmax, so that the rounding alone is other than ``Alibi``.
    """

    slopes: tuple[float, ...]
    scale: float


Position = Rotary | RelativeBias | LayerBias | RelativeTable | Alibi | RoundedAlibi | GridBias


def alibi_slopes(heads: int) -> tuple[float, ...]:
    """Press et al.'s slopes: 2 ** (-8 i / n) for n heads, a power of 2; further heads get every other one of 2 n."""
    power = 1 << heads.bit_length() - 1
    first = (2 ** (-8 * i / power) for i in range(1, power + 1))
    return (*first, *(2 ** (-4 * i / power) for i in range(1, 2 * (heads - power), 2)))
