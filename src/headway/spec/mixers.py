"""Token mixers: each says whether a token sees only those before it, and the position that it names."""

from __future__ import annotations

from math import inf
from typing import ClassVar

from headway.errors import ConfigError
from headway.spec.norms import Norm, RMSNorm
from headway.spec.part import part
from headway.spec.positions import Position, RelativeTable, Rotary


@part
class Attention:
    """Multi-head attention; ``kv_heads`` fewer than ``heads`` shares keys and values among groups.

    ``head_width`` None shares the stack's width evenly. ``key_bias`` and ``out_bias`` None are as ``bias``.
    ``window`` counts the visible positions, the query's own included. ``scale`` multiplies the scores
    (None: ``head_width ** -0.5``). ``dropout`` acts on the attention weights. ``qk_norm`` acts on each head's queries
    and keys before their positions. ``softcap`` bounds the scores by ``cap * tanh(score / cap)``. ``sinks`` adds to
    each head's softmax a learned score that carries no value (Xiao et al. 2023, arXiv:2309.17453).
    """

    heads: int
    head_width: int | None = None
    kv_heads: int | None = None
    bias: bool = True
    key_bias: bool | None = None
    out_bias: bool | None = None
    causal: bool = False
    window: int | None = None
    scale: float | None = None
    position: Position | None = None
    dropout: float = 0.0
    qk_norm: Norm | None = None
    softcap: float | None = None
    sinks: bool = False


@part
class Disentangled:
    """DeBERTa's attention: scores from content, content to position and position to content.

    ``separate`` gives the position table its own key and query projections instead of the content's. ``key_bias`` is
    that of all keys.
    """

    heads: int
    table: RelativeTable
    content_to_position: bool = True
    position_to_content: bool = True
    separate: bool = False
    key_bias: bool = True
    dropout: float = 0.0
    causal: ClassVar[bool] = False

    @property
    def position(self) -> RelativeTable:
        """The table."""
        return self.table


@part
class LatentAttention:
    """DeepSeek-V2's attention (arXiv:2405.04434): keys and values are made of one vector of ``rank`` channels a token.

    Of a head's keys, ``key_width`` channels have no position; the rotary ones are the same in all heads. Queries are
    made of a vector of ``query_rank`` channels, where there is one. ``norm`` acts on both vectors. ``bias`` is that of
    the layers to and from the stack's width. Scores are multiplied by the inverse root of a key's width, and by what
    YaRN's ``mscale_all_dim`` asks for.
    """

    heads: int
    key_width: int
    value_width: int
    rank: int
    position: Rotary
    norm: Norm
    query_rank: int | None = None
    bias: bool = False
    causal: bool = True
    dropout: float = 0.0


@part
class StateSpace:
    """Mamba 2's mixer (Dao and Gu 2024, arXiv:2405.21060): each head writes tokens to a state, which decays.

    The states have ``state`` channels beside those of the head; ``groups`` of heads share what they write to and read
    from. Before that, a convolution sees the last ``kernel`` tokens. The length of a token's step is kept within
    ``step_limits``; ``first_steps`` are the shortest and longest of a new model. ``norm`` acts on each group's gated
    values. ``chunk`` tokens are mixed in one product, and states are handed on from chunk to chunk.
    """

    heads: int
    head_width: int
    state: int
    groups: int
    norm: RMSNorm
    kernel: int = 4
    chunk: int = 256
    activation: str = "silu"
    bias: bool = False
    conv_bias: bool = True
    step_limits: tuple[float, float] = (0.0, inf)
    first_steps: tuple[float, float] = (0.001, 0.1)
    causal: ClassVar[bool] = True
    position: ClassVar[None] = None


Mixer = Attention | LatentAttention | Disentangled | StateSpace


def head_width(width: int, heads: int) -> int:
    """Channels of one of ``heads`` that share ``width`` evenly; raises ``ConfigError`` where they cannot."""
    if heads < 1 or width % heads:
        raise ConfigError(
            f"{width} channels cannot be shared by {heads} attention heads evenly; change one of the two."
        )
    return width // heads
