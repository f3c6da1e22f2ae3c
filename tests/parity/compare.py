"""Are two outputs the same, whole or row by row at the real tokens?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

TOLERANCE = 3e-5
# Caches are compared by what is decoded with them.
SKIPPED = ("past_key_values", "cache_params")


def distance(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference relative to the oracle's largest value."""
    assert ours.shape == theirs.shape, f"{tuple(ours.shape)} is not {tuple(theirs.shape)}"
    assert bool(torch.isfinite(ours).all()), "not finite"
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-6))


def assert_close(ours: Any, theirs: Any, what: str = "output", tolerance: float = TOLERANCE) -> None:
    """Tensors, or tuples or mappings of them, agree; every field of ``theirs`` is in ``ours``."""
    if isinstance(theirs, Mapping):
        for name, value in theirs.items():
            # What was not recorded is left out by headway; transformers gives an empty tuple of it.
            if name not in SKIPPED and not (isinstance(value, tuple) and not value):
                assert name in ours, f"{what} has no {name}, only {', '.join(ours)}"
                assert_close(ours[name], value, f"{what}.{name}", tolerance)
    elif isinstance(theirs, tuple | list):
        assert len(ours) == len(theirs), f"{what} has {len(ours)} items in place of {len(theirs)}"
        for at, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            assert_close(one, other, f"{what}[{at}]", tolerance)
    else:
        found = distance(ours.detach(), theirs.detach())
        assert found < tolerance, f"{what} differs by {found:.1e}"


def row_of(value: Any, row: int, batch: Mapping[str, Any]) -> Any:
    """What a padded batch's output says of one row, at its real tokens, with a batch axis of one.

    The axes of tokens are known by their width, which differs between encoder, decoder and memory.
    """
    if isinstance(value, Mapping):
        skipped = (*SKIPPED, "loss", "aux_loss", "router_logits")
        return {name: row_of(item, row, batch) for name, item in value.items() if name not in skipped}
    if isinstance(value, tuple | list):
        return tuple(row_of(item, row, batch) for item in value)
    rows = len(next(iter(batch.values())))
    each = len(value) // rows
    found = value[row * each : (row + 1) * each]
    for mask in ("attention_mask", "decoder_attention_mask", "encoder_attention_mask"):
        if mask in batch:
            keep = batch[mask][row].reshape(-1, batch[mask].shape[-1])[0].nonzero().squeeze(1)
            for axis in range(1, found.dim()):
                if value.shape[axis] == batch[mask].shape[-1]:
                    found = found.index_select(axis, keep)
    return found
