"""Multi-head attention, to itself and to a memory."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from headway import spec
from headway.errors import ConfigError
from headway.nn.attention.attend import attend, attend_memory
from headway.nn.attention.mask import Rule
from headway.nn.builders import build, builds
from headway.nn.kernels import Scoring
from headway.nn.linear import Linear, Siblings, side_by_side
from headway.nn.positions.rotary import rotate
from headway.nn.run import Run


@builds(spec.Attention)
class Attention(nn.Module):
    """Vaswani et al. 2017, arXiv:1706.03762, with grouped queries (Ainslie et al. 2023, arXiv:2305.13245).

    Args:
        attention: what it is.
        width: channels of the stack.
        positions: the stack's positions; the attention's own is found among them.
    """

    siblings: ClassVar[tuple[str, ...]] = ("q", "k", "v")

    def __init__(self, attention: spec.Attention, width: int, positions: tuple[spec.Position, ...] = ()) -> None:
        super().__init__()
        kv_heads = attention.kv_heads or attention.heads
        if attention.heads % kv_heads:
            raise ConfigError(
                f"{attention.heads} attention heads cannot be shared by {kv_heads} key-value heads; the first number "
                "must be a multiple of the second."
            )
        head_width = attention.head_width or spec.head_width(width, attention.heads)
        inner, kv_inner = attention.heads * head_width, kv_heads * head_width
        key_bias = attention.bias if attention.key_bias is None else attention.key_bias
        out_bias = attention.bias if attention.out_bias is None else attention.out_bias
        self.q = Linear(width, inner, attention.bias)
        self.k = Linear(width, kv_inner, key_bias)
        self.v = Linear(width, kv_inner, attention.bias)
        self.o = Linear(inner, width, out_bias)
        self.joint: Siblings | None = None
        self.split = (-1, head_width)
        scale = head_width**-0.5 if attention.scale is None else attention.scale
        self.scoring = Scoring(scale, attention.softcap)
        # Scores that are not scaled are kept small by the queries (T5), or a new model attends to one token alone.
        self.q.gain = head_width**-0.5 / scale
        self.sinks = nn.Parameter(torch.empty(attention.heads)) if attention.sinks else None
        norm = attention.qk_norm
        self.q_norm: Any = None if norm is None else build(norm, head_width)
        self.k_norm: Any = None if norm is None else build(norm, head_width)
        self.dropout = attention.dropout
        slot = None if attention.position is None else positions.index(attention.position)
        self.rotary = slot if isinstance(attention.position, spec.Rotary) else None
        own = isinstance(attention.position, spec.LayerBias)
        self.rule = Rule(attention.causal, attention.window, None if self.rotary is not None else slot, own)

    def forward(self, x: Tensor, run: Run) -> Tensor:
        by_head = x.shape[:-1] + self.split
        q, k, v = side_by_side(self, x)
        q, k, v = q.view(by_head), k.view(by_head), v.view(by_head)
        if self.q_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        if self.rotary is not None:
            turn = run.positions[self.rotary]
            if x.shape[-2] == 1:  # of so little a copy costs less than more calls
                q, k = rotate(torch.cat((q, k), -2), turn).split_with_sizes((q.shape[-2], k.shape[-2]), -2)
            else:
                q, k = rotate(q, turn), rotate(k, turn)
        dropout = self.dropout if self.training else 0.0
        scoring = self.scoring if self.sinks is None else self.scoring._replace(sinks=self.sinks)
        return self.o(attend(run, self.rule, q, k, v, scoring, dropout).flatten(-2))


class CrossAttention(Attention):
    """Attention from a decoder to its memory."""

    siblings: ClassVar[tuple[str, ...]] = ()

    def forward(self, x: Tensor, run: Run) -> Tensor:
        q = self.q(x).unflatten(-1, self.split)
        out = attend_memory(run, q, self.keys_values, self.scoring, self.dropout if self.training else 0.0)
        return self.o(out.flatten(-2))

    def keys_values(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """What is kept of a memory's states: keys and values ``[..., heads, head_width]``."""
        return self.k(states).unflatten(-1, self.split), self.v(states).unflatten(-1, self.split)
