"""From token ids to the vectors that a stack starts from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway import spec
from headway.errors import InputError
from headway.nn.batch import Batch
from headway.nn.builders import build, builds
from headway.nn.linear import Embedding, Linear


def look_up(table: nn.Embedding, ids: Tensor, name: str) -> Tensor:
    """Rows of ``table`` by id; raises ``InputError`` that names ``name`` where an id is beyond the table."""
    try:
        return F.embedding(ids, table.weight)
    except IndexError:
        count = table.num_embeddings
        wrong = ids[(ids < 0) | (ids >= count)].flatten()[0].item()
        raise InputError(
            f"{name} holds {wrong}, but the model knows ids 0 to {count - 1}; use the tokenizer of this checkpoint."
        ) from None


@builds(spec.Embed)
class Embed(nn.Module):
    """Token vectors, plus positions and segments, normalised and projected as the family does."""

    def __init__(self, embed: spec.Embed, width: int, own_tokens: bool = True) -> None:
        super().__init__()
        self.tokens = Embedding(embed.vocabulary, embed.width) if own_tokens else None
        positions, types = embed.positions, embed.types
        self.project: Any = None if embed.width == width else Linear(embed.width, width, embed.project.bias)
        self.projects_tokens = self.project is not None and isinstance(embed.project, spec.ProjectTokens)
        inner = width if self.projects_tokens else embed.width
        self.positions = None if positions is None else build(positions, inner)
        self.types = Embedding(types.count, inner) if isinstance(types, spec.TokenTypes) else None
        self.types_as_tokens = isinstance(types, spec.TypesAsTokens)
        self.norm = None if embed.norm is None else build(embed.norm, inner)
        self.scale = embed.scale
        self.dropout = embed.dropout

    def forward(
        self,
        batch: Batch,
        ids: Tensor | None,
        types: Tensor | None,
        vectors: Tensor | None,
        tokens: nn.Embedding | None = None,
    ) -> Tensor:
        """Vectors in the batch's layout.

        Args:
            ids: ``[rows, width]`` int64, or None where ``vectors`` are given.
            types: segment ids, as ``ids``.
            vectors: token vectors ``[rows, width, channels]`` in place of ids.
            tokens: the table of a backbone that shares one.
        """
        table = self.tokens if tokens is None else tokens
        assert table is not None
        if ids is not None:
            x = look_up(table, batch.pack(ids), f"{batch.prefix}input_ids")
        else:
            assert vectors is not None
            if vectors.shape[-1] != table.embedding_dim:
                raise InputError(
                    f"{batch.prefix}inputs_embeds has {vectors.shape[-1]} channels, but this model's token vectors "
                    f"have {table.embedding_dim}."
                )
            x = batch.pack(vectors)
        if types is not None and tuple(types.shape) != (batch.rows, batch.width):
            raise InputError(
                f"Expected token_type_ids to have shape [{batch.rows}, {batch.width}], got {list(types.shape)}."
            )
        if isinstance(self.scale, spec.Rounded):
            x = x * torch.tensor(self.scale.value, dtype=x.dtype)
        elif isinstance(self.scale, spec.TokenDropout):
            x = x * _token_dropout(self.scale, batch, ids).to(x.dtype)
        elif self.scale != 1.0:
            x = x * self.scale
        if self.projects_tokens:
            x = self.project(x)
        if self.types is not None:
            x = x + (
                self.types.weight[0] if types is None else look_up(self.types, batch.pack(types), "token_type_ids")
            )
        elif self.types_as_tokens and types is not None:
            x = x + look_up(table, batch.pack(types), "token_type_ids")
        elif types is not None and bool(types.any()):
            raise InputError("This model has no token types; leave token_type_ids out.")
        if self.positions is not None:
            x = x + self.positions.vectors(batch, x)
        if self.norm is not None:
            x = self.norm(x)
        if self.training and self.dropout:
            x = F.dropout(x, self.dropout)
        return x if self.project is None or self.projects_tokens else self.project(x)


def _token_dropout(dropout: spec.TokenDropout, batch: Batch, ids: Tensor | None) -> Tensor:
    """A factor for each token, in the batch's layout with an axis of one; vectors in place of ids are no masks."""
    if ids is None:
        return torch.tensor(1 - dropout.rate, device=batch.device)
    masked = ids == dropout.mask if batch.keep is None else (ids == dropout.mask) & batch.keep
    tokens = batch.width if batch.keep is None else batch.keep.sum(1, keepdim=True)
    factors = (1 - dropout.rate) / (1 - masked.sum(1, keepdim=True) / tokens)
    return batch.pack(factors.expand(masked.shape).masked_fill(masked, 0.0))[..., None]
