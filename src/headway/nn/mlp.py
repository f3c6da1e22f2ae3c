"""Channel mixers: plain, gated, and sparse experts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway import spec
from headway.nn.activations import activation
from headway.nn.builders import build, builds
from headway.nn.linear import Joint, Linear, side_by_side
from headway.nn.run import Run


@builds(spec.Mlp)
class Mlp(nn.Module):
    """``down(act(up(x)))``."""

    def __init__(self, mlp: spec.Mlp, width: int) -> None:
        super().__init__()
        self.up = Linear(width, mlp.width, mlp.bias)
        self.down = Linear(mlp.width, width, mlp.bias)
        self.act = activation(mlp.activation)
        self.dropout = mlp.dropout

    def forward(self, x: Tensor, run: Run | None = None) -> Tensor:
        inner = self.act(self.up(x))
        if self.training and self.dropout:
            inner = F.dropout(inner, self.dropout)
        down: Tensor = self.down(inner)
        return down


@builds(spec.GatedMlp)
class GatedMlp(nn.Module):
    """``down(act(gate(x)) * up(x))``."""

    siblings = ("gate", "up")

    def __init__(self, mlp: spec.GatedMlp, width: int) -> None:
        super().__init__()
        self.joint: Joint | None = None
        self.gate = Linear(width, mlp.width, mlp.bias)
        self.up = Linear(width, mlp.width, mlp.bias)
        self.down = Linear(mlp.width, width, mlp.bias)
        self.act = activation(mlp.activation)
        self.dropout = mlp.dropout

    def forward(self, x: Tensor, run: Run | None = None) -> Tensor:
        gate, up = side_by_side(self, x)
        inner = self.act(gate) * up
        if self.training and self.dropout:
            inner = F.dropout(inner, self.dropout)
        down: Tensor = self.down(inner)
        return down


@builds(spec.MixtureOfExperts)
class MixtureOfExperts(nn.Module):
    """Each token goes to its best experts, whose results are weighed by the router's renormalised probabilities."""

    def __init__(self, moe: spec.MixtureOfExperts, width: int) -> None:
        super().__init__()
        self.router = Linear(width, moe.count, bias=False)
        self.experts = nn.ModuleList(build(moe.expert, width) for _ in range(moe.count))
        self.top = moe.top

    def forward(self, x: Tensor, run: Run) -> Tensor:
        tokens = x.reshape(-1, x.shape[-1])
        logits = self.router(tokens)
        if run.trace.router is not None:
            run.trace.router.append(logits)
        weights, chosen = logits.softmax(-1, dtype=torch.float32).topk(self.top, -1)
        weights = (weights / weights.sum(-1, keepdim=True)).to(x.dtype)
        out = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            token, slot = (chosen == number).nonzero(as_tuple=True)
            if len(token):
                out = out.index_add(0, token, expert(tokens[token]) * weights[token, slot, None])
        return out.view_as(x)
