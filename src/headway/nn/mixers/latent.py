"""Multi-head latent attention (DeepSeek-AI 2024, arXiv:2405.04434)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from headway import spec
from headway.nn.attention.attend import attend
from headway.nn.attention.mask import Rule
from headway.nn.builders import build, builds
from headway.nn.kernels import Scoring
from headway.nn.linear import Linear, Siblings, side_by_side
from headway.nn.positions.rotary import rotate
from headway.nn.run import Run


@builds(spec.LatentAttention)
class LatentAttention(nn.Module):
    """Keys and values of all heads are made of one vector a token; one rotary key serves all heads.

    A cache holds these two alone, the rotary key as keys and the vector as values.
    """

    # Its weight itself is brought to queries and results while decoding.
    unquantised: ClassVar[tuple[str, ...]] = ("kv_b",)

    def __init__(self, mixer: spec.LatentAttention, width: int, positions: tuple[spec.Position, ...]) -> None:
        super().__init__()
        turned = mixer.position.width
        queries = mixer.heads * (mixer.key_width + turned)
        if mixer.query_rank is None:
            self.siblings = ("q", "kv_a")
            self.q = Linear(width, queries, bias=False)
        else:
            self.siblings = ("q_a", "kv_a")
            self.q_a = Linear(width, mixer.query_rank, mixer.bias)
            self.q_norm = build(mixer.norm, mixer.query_rank)
            self.q_b = Linear(mixer.query_rank, queries, bias=False)
        self.kv_a = Linear(width, mixer.rank + turned, mixer.bias)
        self.kv_norm = build(mixer.norm, mixer.rank)
        self.kv_b = Linear(mixer.rank, mixer.heads * (mixer.key_width + mixer.value_width), bias=False)
        self.o = Linear(mixer.heads * mixer.value_width, width, mixer.bias)
        self.joint: Siblings | None = None
        self.mixer = mixer
        self.widths = (mixer.key_width, mixer.value_width)
        self.scoring = Scoring(_scale(mixer))
        self.slot = positions.index(mixer.position)
        self.rule = Rule(mixer.causal, None, None)

    def forward(self, x: Tensor, run: Run) -> Tensor:
        mixer, turn = self.mixer, run.positions[self.slot]
        q, compressed = side_by_side(self, x)
        if mixer.query_rank is not None:
            q = self.q_b(self.q_norm(q))
        q, turned = q.unflatten(-1, (mixer.heads, -1)).split((mixer.key_width, mixer.position.width), -1)
        turned = rotate(turned, turn)
        latent, shared = compressed.unsqueeze(-2).split((mixer.rank, mixer.position.width), -1)
        latent, shared = self.kv_norm(latent), rotate(shared, turn)
        dropout = mixer.dropout if self.training else 0.0
        if run.cache is None:
            k, v = self._expand(shared, latent)
            out = attend(run, self.rule, torch.cat((q, turned), -1), k, v, self.scoring, dropout)
        elif x.dim() == 3 and x.shape[1] == 1 and _is_plain(self.kv_b):
            # One query is brought to the vectors, where every key and value would be brought out of them.
            to_keys, to_values = self.kv_b.weight.unflatten(0, (mixer.heads, -1)).split(self.widths, 1)
            q = torch.cat(((q.unsqueeze(-2) @ to_keys).squeeze(-2), turned), -1)
            out = attend(run, self.rule, q, shared, latent, self.scoring, dropout, expand=_joined)
            out = (to_values @ out.unsqueeze(-1)).squeeze(-1)
        else:
            q = torch.cat((q, turned), -1)
            out = attend(run, self.rule, q, shared, latent, self.scoring, dropout, expand=self._expand_rows)
        return self.o(out.flatten(-2))

    def _expand(self, shared: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values ``[..., heads, width]`` of vectors and rotary keys ``[..., 1, width]``."""
        k, v = self.kv_b(latent).unflatten(-1, (self.mixer.heads, -1)).squeeze(-3).split(self.widths, -1)
        return torch.cat((k, shared.expand(*k.shape[:-1], -1)), -1), v

    def _expand_rows(self, shared: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """The same for the axes of a cache, ``[rows, 1, tokens, width]``."""
        k, v = self._expand(shared.transpose(1, 2), latent.transpose(1, 2))
        return k.transpose(1, 2), v.transpose(1, 2)


def _scale(mixer: spec.LatentAttention) -> float:
    scale: float = (mixer.key_width + mixer.position.width) ** -0.5
    scaling = mixer.position.scaling
    if isinstance(scaling, spec.RopeYarn) and scaling.mscale_all_dim:
        scale *= scaling.magnitude(scaling.mscale_all_dim) ** 2
    return scale


def _joined(shared: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
    """Keys that a query of the vectors' own width can be compared with, and their values."""
    return torch.cat((latent, shared), -1), latent


def _is_plain(layer: nn.Module) -> bool:
    """Does nothing but its weight make what the layer gives: no adapter and no hook?"""
    return type(layer) is Linear and not layer._forward_hooks and not layer._forward_pre_hooks
