"""What poolers and heads read of a row's states."""

from __future__ import annotations

import torch
from torch import Tensor

from headway import spec
from headway.errors import InputError
from headway.nn.batch import Batch, Padded


def gather(kind: spec.Read, x: Tensor, batch: Batch, ids: Tensor | None = None) -> Tensor:
    """What ``kind`` names of ``x``: ``[rows, channels]``, or every token in the batch's layout.

    Args:
        x: states in the layout of ``batch``.
        ids: the token ids ``[rows, width]`` that they belong to, where known.
    """
    match kind:
        case spec.FirstToken():
            return batch.nth(x, 0)
        case spec.LastToken():
            return batch.last(x)
        case spec.NthToken(at):
            return batch.nth(x, at)
        case spec.Mean(skip):
            return batch.mean(x, skip)
        case spec.Joined(reads):
            return torch.cat([gather(read, x, batch, ids) for read in reads], -1)
        case spec.FirstOf(token):
            return _at(_real_ids(ids, batch) == token, x, batch, f"has no token {token}")
        case spec.HighestId():
            known = _real_ids(ids, batch)
            return _at(known == known.amax(1, keepdim=True), x, batch, "is empty")
    return x


def reads_ids(kind: spec.Read) -> bool:
    """Can ``kind`` be found by the token ids alone?"""
    return isinstance(kind, spec.FirstOf | spec.HighestId)


def last_of(tokens: list[int], x: Tensor, batch: Batch, ids: Tensor | None) -> Tensor:
    """The states at the last of ``tokens`` in each row."""
    found = (_real_ids(ids, batch)[..., None] == torch.tensor(tokens, dtype=torch.int64, device=x.device)).any(-1)
    return _at(found, x, batch, f"has no end-of-sequence token (id {', '.join(map(str, tokens))})", last=True)


def _real_ids(ids: Tensor | None, batch: Batch) -> Tensor:
    """``ids`` with -1 at padding."""
    if ids is None:
        raise InputError("This model reads the state at its end-of-sequence token, so it needs input_ids.")
    return ids if batch.keep is None else ids.masked_fill(~batch.keep, -1)


def _at(found: Tensor, x: Tensor, batch: Batch, otherwise: str, last: bool = False) -> Tensor:
    """The states at the first (or last) place of each row where ``found [rows, width]`` is True."""
    if not isinstance(batch, Padded) and not bool(found.any(1).all()):
        row = int((~found.any(1)).nonzero()[0])
        raise InputError(f"Row {row} of input_ids {otherwise}, whose state this head reads; let the tokenizer add it.")
    place = found.shape[1] - 1 - found.flip(1).int().argmax(1) if last else found.int().argmax(1)
    return batch.unpack(x)[torch.arange(found.shape[0], device=x.device), place]
