"""Channel mixers: plain and gated."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway import spec
from headway.nn.activations import activated, activation
from headway.nn.builders import build, builds
from headway.nn.linear import Linear, Siblings, side_by_side
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
        inner = activated(self.act, self.up(x), self.up)
        if self.training and self.dropout:
            inner = F.dropout(inner, self.dropout)
        down: Tensor = self.down(inner)
        return down


class Gated(nn.Module):
    """``down(join(gate(x), up(x)))``; subclasses say how the two are joined."""

    siblings = ("gate", "up")

    def __init__(self, mlp: spec.GatedMlp | spec.ClampedGatedMlp, width: int) -> None:
        super().__init__()
        self.joint: Siblings | None = None
        self.gate = Linear(width, mlp.width, mlp.bias)
        self.up = Linear(width, mlp.width, mlp.bias)
        self.down = Linear(mlp.width, width, mlp.bias)
        self.dropout = mlp.dropout

    def join(self, gate: Tensor, up: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor, run: Run | None = None) -> Tensor:
        inner = self.join(*side_by_side(self, x))
        if self.training and self.dropout:
            inner = F.dropout(inner, self.dropout)
        down: Tensor = self.down(inner)
        return down


@builds(spec.GatedMlp)
class GatedMlp(Gated):
    """``down(act(gate(x)) * up(x))``."""

    def __init__(self, mlp: spec.GatedMlp, width: int) -> None:
        super().__init__(mlp, width)
        self.act = activation(mlp.activation)

    def join(self, gate: Tensor, up: Tensor) -> Tensor:
        return activated(self.act, gate, self.gate) * up


@builds(spec.ClampedGatedMlp)
class ClampedGatedMlp(Gated):
    """gpt-oss's expert."""

    def __init__(self, mlp: spec.ClampedGatedMlp, width: int) -> None:
        super().__init__(mlp, width)
        self.alpha, self.limit = mlp.alpha, mlp.limit

    def join(self, gate: Tensor, up: Tensor) -> Tensor:
        gate = gate.clamp(max=self.limit)
        return (up.clamp(-self.limit, self.limit) + 1) * (gate * torch.sigmoid(self.alpha * gate))


@builds(spec.TokenGatedMlp)
class TokenGatedMlp(nn.Module):
    """``sigmoid(gate(x)) * mlp(x)``."""

    unquantised: ClassVar[tuple[str, ...]] = ("gate",)

    def __init__(self, mlp: spec.TokenGatedMlp, width: int) -> None:
        super().__init__()
        self.mlp = build(mlp.mlp, width)
        self.gate = Linear(width, 1, bias=False)

    def forward(self, x: Tensor, run: Run | None = None) -> Tensor:
        weighed: Tensor = self.gate(x).sigmoid() * self.mlp(x, run)
        return weighed
