"""T5's relative positions: a learned bias for each head and bucket of distance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from headway import spec
from headway.nn.builders import builds
from headway.nn.linear import Embedding
from headway.nn.run import Run


class PreparedBias:
    """The bias of one pass, cut from one matrix for the longest row."""

    def __init__(self, bias: RelativeBias) -> None:
        self._bias = bias
        self._full: Tensor | None = None

    def rows(self, queries: int, keys: int) -> Tensor:
        """For the last ``queries`` of ``keys`` tokens: ``[1, heads, queries, keys]``."""
        if queries != keys:
            at = torch.arange(keys - queries, keys, device=self._bias.table.weight.device)
            return self._bias.between(at, keys)[None]
        if self._full is None or self._full.shape[-1] < keys:
            self._full = self._bias.between(torch.arange(keys, device=self._bias.table.weight.device), keys)[None]
        return self._full[..., :queries, :keys]


@builds(spec.RelativeBias)
class RelativeBias(nn.Module):
    """Buckets of one distance each up to half of them, then of growing width up to ``max_distance``."""

    def __init__(self, bias: spec.RelativeBias) -> None:
        super().__init__()
        self.table = Embedding(bias.buckets, bias.heads)
        self.bias = bias

    def prepare(self, run: Run, like: Tensor) -> PreparedBias:
        """The bias of a pass, computed when first asked for."""
        return PreparedBias(self)

    def between(self, positions: Tensor, keys: int) -> Tensor:
        """Bias ``[heads, queries, keys]`` of queries at ``positions`` towards keys from 0 on."""
        distance = torch.arange(keys, device=positions.device) - positions[:, None]
        return self.table(self._buckets(distance)).permute(2, 0, 1)

    def _buckets(self, distance: Tensor) -> Tensor:
        buckets, offset = self.bias.buckets, torch.zeros_like(distance)
        if self.bias.bidirectional:
            buckets //= 2
            offset = (distance > 0).long() * buckets
            distance = distance.abs()
        else:
            distance = (-distance).clamp(min=0)
        exact = buckets // 2
        logarithm = (distance.float() / exact).log() / math.log(self.bias.max_distance / exact)
        coarse = (exact + (logarithm * (buckets - exact)).long()).clamp(max=buckets - 1)
        return offset + torch.where(distance < exact, distance, coarse)
