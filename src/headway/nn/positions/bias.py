"""T5's relative positions: a learned bias for each head and bucket of distance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from headway import spec
from headway.nn.builders import build, builds
from headway.nn.linear import Embedding
from headway.nn.run import Run


class PreparedBias:
    """The bias of one pass. A bias of all layers is cut from one matrix for the longest row.

    Buckets are those of every layer, tables of a layer's own or not, so the run keeps them.
    """

    def __init__(self, module: RelativeBias, run: Run) -> None:
        self._module, self._run = module, run
        self._full: Tensor | None = None

    def rows(self, queries: int, keys: int) -> Tensor:
        """For the last ``queries`` of ``keys`` tokens: ``[1, heads, queries, keys]``."""
        if queries != keys or self._module.own:
            return self._last(queries, keys)
        if self._full is None or self._full.shape[-1] < keys:
            self._full = self._last(keys, keys)
        return self._full[..., :queries, :keys]

    def ragged(self, starts: Tensor, queries: int, keys: int) -> Tensor:
        """The same where each row has its first token in a column of its own, ``starts [rows]``."""
        return self.rows(queries, keys)  # a distance is the same wherever a row starts

    def _last(self, queries: int, keys: int) -> Tensor:
        key = (self._module.bias, *self._run.batch.sizes(queries, keys))
        if key not in self._run.masks:
            at = torch.arange(keys, device=self._run.batch.device)
            self._run.masks[key] = self._module.buckets(at[keys - queries :, None] - at)
        return self._module.table(self._run.masks[key]).permute(2, 0, 1)[None]


@builds(spec.RelativeBias)
class RelativeBias(nn.Module):
    """Buckets of one distance each up to half of them, then of growing width up to ``max_distance``."""

    def __init__(self, bias: spec.RelativeBias, own: bool = False) -> None:
        super().__init__()
        self.table = Embedding(bias.buckets, bias.heads)
        self.bias, self.own = bias, own

    def prepare(self, run: Run, like: Tensor) -> PreparedBias:
        """The bias of a pass, computed when first asked for."""
        return PreparedBias(self, run)

    def buckets(self, back: Tensor) -> Tensor:
        """The bucket of keys that lie ``back`` tokens before the query."""
        buckets, offset = self.bias.buckets, torch.zeros_like(back)
        if self.bias.bidirectional:
            buckets //= 2
            offset = (back < 0).long() * buckets
            distance = back.abs()
        else:
            distance = back.clamp(min=0)
        exact = buckets // 2
        logarithm = (distance.float() / exact).log() / math.log(self.bias.max_distance / exact)
        coarse = (exact + (logarithm * (buckets - exact)).long()).clamp(max=buckets - 1)
        return offset + torch.where(distance < exact, distance, coarse)


@builds(spec.LayerBias)
def layer_bias(own: spec.LayerBias) -> nn.Module:
    """The same with a table that one layer reads."""
    module: nn.Module = build(own.bias, True)
    return module
