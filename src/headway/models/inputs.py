"""What a call's arguments say of its shape; each error names the argument."""

from __future__ import annotations

import torch
from torch import Tensor

from headway.errors import InputError
from headway.nn.batch import batch_of
from headway.nn.cache import Cache
from headway.nn.run import Memory


def shape_of(ids: Tensor | None, vectors: Tensor | None, prefix: str = "") -> tuple[int, int, torch.device]:
    if (ids is None) == (vectors is None):
        raise InputError(f"Pass either {prefix}input_ids or {prefix}inputs_embeds.")
    for name, given in (("input_ids", ids), ("inputs_embeds", vectors)):
        if given is not None and (not isinstance(given, Tensor) or given.is_floating_point() == (name == "input_ids")):
            kind = given.dtype if isinstance(given, Tensor) else type(given).__name__
            wanted = "integers" if name == "input_ids" else "floats"
            raise InputError(f"Expected {prefix}{name} to be a tensor of {wanted}, got {kind}.")
    if ids is not None:
        if ids.dim() != 2:
            raise InputError(
                f"Expected {prefix}input_ids to have shape [batch, seq_len], got {list(ids.shape)}; "
                "add the batch axis with ids[None], or return_tensors='pt' in the tokenizer."
            )
        if 0 in ids.shape:
            raise InputError(f"{prefix}input_ids has shape {list(ids.shape)}, which holds no token.")
        return ids.shape[0], ids.shape[1], ids.device
    assert vectors is not None
    if vectors.dim() != 3:
        raise InputError(
            f"Expected {prefix}inputs_embeds to have shape [batch, seq_len, channels], got {list(vectors.shape)}."
        )
    return vectors.shape[0], vectors.shape[1], vectors.device


def choices_of(ids: Tensor | None, vectors: Tensor | None) -> int:
    """How many choices each row of a multiple-choice input has."""
    for name, given, shape in (
        ("input_ids", ids, "[batch, choices, seq_len]"),
        ("inputs_embeds", vectors, "[batch, choices, seq_len, channels]"),
    ):
        if given is not None and given.dim() != shape.count(",") + 1:
            raise InputError(f"Expected {name} to have shape {shape}, got {list(given.shape)}.")
    given = ids if ids is not None else vectors
    return 1 if given is None else given.shape[1]


def past_of(cache: Cache | None) -> tuple[int, ...] | int:
    """The tokens that ``cache`` holds of each row."""
    if cache is None:
        return 0
    if not isinstance(cache, Cache):
        raise InputError(
            f"Expected past_key_values to be the cache that a call with use_cache=True returned, got a "
            f"{type(cache).__name__}."
        )
    return cache.lengths


def memory_of(states: Tensor | None, mask: Tensor | None) -> Memory | None:
    if states is None:
        return None
    batch = batch_of(states.shape[0], states.shape[1], states.device, mask)
    return Memory(batch.pack(states), batch)


def last_token(ids: Tensor, mask: Tensor | None) -> Tensor:
    """The last real token of each row, ``[rows]``."""
    if mask is None:
        return ids[:, -1]
    last = mask.shape[1] - 1 - mask.flip(1).int().argmax(1)
    return ids[torch.arange(ids.shape[0], device=ids.device), last]


def shift_right(ids: Tensor, mask: Tensor | None, start: int | Tensor) -> Tensor:
    """``ids`` one place later, with ``start`` (one, or one for each row) at the first real place of each row."""
    shifted = ids.roll(1, 1)
    if mask is None:
        shifted[:, 0] = start
    else:
        shifted[torch.arange(ids.shape[0], device=ids.device), mask.int().argmax(1)] = start
    return shifted
