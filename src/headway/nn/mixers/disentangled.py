"""DeBERTa's disentangled attention (He et al. 2021, arXiv:2006.03654)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from headway import spec
from headway.nn.attention.attend import attend
from headway.nn.attention.mask import Rule
from headway.nn.batch import Batch
from headway.nn.builders import build, builds
from headway.nn.kernels import Scoring
from headway.nn.linear import Embedding, Linear, Siblings, side_by_side
from headway.nn.run import Run


class Relative:
    """A pass's position vectors ``[2 * span, width]`` and, for each length, which of them stands between two tokens."""

    def __init__(self, vectors: Tensor, table: spec.RelativeTable, batch: Batch) -> None:
        self.vectors = vectors
        self._table, self._batch = table, batch
        self._index: dict[tuple[int, ...], Tensor] = {}

    def index(self, count: int) -> Tensor:
        """``[count, count]``: the vector between the query of each row and the key of each column."""
        key = self._batch.sizes(count)
        if key not in self._index:
            at = torch.arange(count, device=self.vectors.device)
            distance = at[:, None] - at
            span, until = self._table.span, self._table.log_until
            if until is not None:
                distance = _log_buckets(distance, span, until)
            self._index[key] = (distance + span).clamp(0, 2 * span - 1)
        return self._index[key]


def _log_buckets(distance: Tensor, span: int, until: int) -> Tensor:
    """Distances up to ``span / 2`` as they are, further ones on a log scale that reaches ``span`` at ``until``."""
    middle = span // 2
    size = distance.abs().clamp(min=1)
    scaled = (size / middle).log() / math.log((until - 1) / middle) * (middle - 1)
    return torch.where(size <= middle, distance, (scaled.ceil().long() + middle) * distance.sign())


@builds(spec.RelativeTable)
class RelativeTable(nn.Module):
    """The vectors of relative positions that all layers share."""

    def __init__(self, table: spec.RelativeTable) -> None:
        super().__init__()
        self.spec = table
        self.table = Embedding(2 * table.span, table.width)
        self.norm = None if table.norm is None else build(table.norm, table.width)

    def prepare(self, run: Run, like: Tensor) -> Relative:
        """The vectors of a pass, normalised where the family does so."""
        vectors = self.table.weight
        return Relative(vectors if self.norm is None else self.norm(vectors), self.spec, run.batch)


@builds(spec.Disentangled)
class Disentangled(nn.Module):
    """Scores from content to content, content to position and position to content."""

    siblings = ("q", "k", "v")

    def __init__(self, mixer: spec.Disentangled, width: int, positions: tuple[spec.Position, ...]) -> None:
        super().__init__()
        head_width = spec.head_width(width, mixer.heads)
        self.q, self.k, self.v = Linear(width, width), Linear(width, width, mixer.key_bias), Linear(width, width)
        self.o = Linear(width, width)
        separate = mixer.separate
        self.position_k = Linear(width, width, mixer.key_bias) if separate and mixer.content_to_position else None
        self.position_q = Linear(width, width) if separate and mixer.position_to_content else None
        self.joint: Siblings | None = None
        self.split = (-1, head_width)
        self.mixer = mixer
        self.scale = (head_width * (1 + mixer.content_to_position + mixer.position_to_content)) ** -0.5
        self.scoring = Scoring(self.scale)
        self.slot = positions.index(mixer.table)
        self.rule = Rule(causal=False, window=None, bias=None)

    def forward(self, x: Tensor, run: Run) -> Tensor:
        q, k, v = (part.unflatten(-1, self.split) for part in side_by_side(self, x))
        relative: Relative = run.positions[self.slot]
        keys = self._heads(self.position_k or self.k, relative) if self.mixer.content_to_position else None
        queries = self._heads(self.position_q or self.q, relative) if self.mixer.position_to_content else None

        def bias(q: Tensor, k: Tensor) -> Tensor:
            index = relative.index(q.shape[2])
            total = q.new_zeros(())
            if keys is not None:
                total = total + (q @ keys).gather(-1, index.expand(*q.shape[:2], -1, -1))
            if queries is not None:
                total = total + (k @ queries).gather(-1, index.t().expand(*k.shape[:2], -1, -1)).transpose(-1, -2)
            return total * self.scale

        dropout = self.mixer.dropout if self.training else 0.0
        return self.o(attend(run, self.rule, q, k, v, self.scoring, dropout, bias).flatten(-2))

    def _heads(self, project: nn.Module, relative: Relative) -> Tensor:
        """The projected vectors, ``[heads, head_width, 2 * span]``."""
        projected: Tensor = project(relative.vectors)
        return projected.unflatten(-1, self.split).permute(1, 2, 0)
