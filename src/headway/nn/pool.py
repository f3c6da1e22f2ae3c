"""From a backbone's states to one vector a row."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headway import spec
from headway.nn.activations import activation
from headway.nn.builders import build, builds
from headway.nn.kernels import Scoring
from headway.nn.linear import Linear
from headway.nn.reading import gather, reads_ids
from headway.nn.run import Run


@builds(spec.Pooler)
class Pooler(nn.Module):
    """``act(dense(norm(what is read)))``, of which norm and dense may be missing."""

    def __init__(self, pooler: spec.Pooler, width: int) -> None:
        super().__init__()
        self.read, self.by_ids = pooler.read, reads_ids(pooler.read)
        self.norm = None if pooler.norm is None else build(pooler.norm, width)
        self.dense = None if pooler.activation is None else Linear(width, pooler.width or width)
        self.act = activation(pooler.activation or "linear")

    def forward(self, x: Tensor, run: Run, ids: Tensor | None = None) -> Tensor | None:
        """``[rows, width]``, or None where what is to be read is known by ids that are not all here."""
        if self.by_ids and (ids is None or run.cache is not None):
            return None
        x = gather(self.read, x, run.batch, ids)
        if self.norm is not None:
            x = self.norm(x)
        return x if self.dense is None else self.act(self.dense(x))


@builds(spec.ProbePooler)
class ProbePooler(nn.Module):
    """Multi-head attention of one learned query, and an MLP."""

    def __init__(self, pooler: spec.ProbePooler, width: int) -> None:
        super().__init__()
        self.probe = nn.Parameter(torch.empty(width))
        self.q, self.k, self.v, self.o = (Linear(width, width) for _ in range(4))
        self.norm = build(pooler.norm, width)
        self.mlp = build(pooler.mlp, width)
        self.split = (pooler.heads, spec.head_width(width, pooler.heads))
        self.scoring = Scoring(self.split[1] ** -0.5)

    def forward(self, x: Tensor, run: Run, ids: Tensor | None = None) -> Tensor:
        """``[rows, width]``."""
        mask = None
        if run.batch.lengths is not None:
            x, mask = run.batch.left_aligned(x), run.batch.left_aligned_mask[:, None, None]
        elif run.batch.keep is not None:
            mask = run.batch.keep[:, None, None]
        q = self.q(self.probe).view(1, -1, *self.split).expand(x.shape[0], -1, -1, -1)
        q, k, v = (part.transpose(1, 2) for part in (q, *(y.unflatten(-1, self.split) for y in (self.k(x), self.v(x)))))
        mixed, _ = run.kernel(q, k, v, mask, False, self.scoring, 0.0)
        x = self.o(mixed.flatten(1))
        pooled: Tensor = x + self.mlp(self.norm(x))
        return pooled
