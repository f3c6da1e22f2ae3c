"""Multi-head latent attention (DeepSeek-AI 2024, arXiv:2405.04434)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headway import spec
from headway.nn.attention.attend import attend
from headway.nn.attention.mask import Rule
from headway.nn.builders import build, builds
from headway.nn.kernels import Scoring
from headway.nn.linear import Joint, Linear, side_by_side
from headway.nn.positions.rotary import rotate
from headway.nn.run import Run


@builds(spec.LatentAttention)
class LatentAttention(nn.Module):
    """Keys and values of all heads are made of one vector a token; one rotary key serves all heads."""

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
        self.joint: Joint | None = None
        self.mixer = mixer
        self.scoring = Scoring((mixer.key_width + turned) ** -0.5 if mixer.scale is None else mixer.scale)
        self.slot = positions.index(mixer.position)
        self.rule = Rule(mixer.causal, None, None)

    def forward(self, x: Tensor, run: Run) -> Tensor:
        mixer, turn = self.mixer, run.positions[self.slot]
        q, compressed = side_by_side(self, x)
        if mixer.query_rank is not None:
            q = self.q_b(self.q_norm(q))
        latent, shared = compressed.split((mixer.rank, mixer.position.width), -1)
        expanded = self.kv_b(self.kv_norm(latent)).unflatten(-1, (mixer.heads, -1))
        k, v = expanded.split((mixer.key_width, mixer.value_width), -1)
        shared = rotate(shared.unsqueeze(-2), turn).expand(*k.shape[:-1], -1)
        q, turned = q.unflatten(-1, (mixer.heads, -1)).split((mixer.key_width, mixer.position.width), -1)
        q, k = torch.cat((q, rotate(turned, turn)), -1), torch.cat((k, shared), -1)
        dropout = mixer.dropout if self.training else 0.0
        return self.o(attend(run, self.rule, q, k, v, self.scoring, dropout).flatten(-2))
