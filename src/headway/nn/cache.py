"""What a decoder keeps of past tokens: the keys and values of each layer, and how many tokens each row has.

A cache is the caller's and is never stored on a module. Rows are kept without their padding, each with a length of
its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from headway.errors import InputError
from headway.nn.batch import Batch

Row = tuple[Tensor, Tensor]


class Cache:
    """Keys and values of past tokens, growing as needed.

    ``len(cache)`` is the number of layers and ``cache[i]`` layer ``i``'s ``(keys, values)``, each
    ``[rows, heads, tokens, head_width]``; rows shorter than the longest end in arbitrary numbers.
    """

    def __init__(self) -> None:
        self.lengths: tuple[int, ...] | int = 0
        self._layers: list[_Layer] = []
        self.cross: dict[int, tuple[Tensor, Tensor, Tensor | None]] = {}

    def __len__(self) -> int:
        return len(self._layers)

    def __getitem__(self, layer: int) -> tuple[Tensor, Tensor]:
        length = self.get_seq_length()
        keys, values = self._layers[layer].dense()
        return keys[:, :, :length], values[:, :, :length]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens held, of the longest row."""
        return self.lengths if isinstance(self.lengths, int) else max(self.lengths)

    def update(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append a pass's keys and values, dense ``[rows, heads, new, head_width]``; return all, dense."""
        if layer == len(self._layers):
            self._layers.append(_Layer())
        return self._layers[layer].append(keys, values, self.lengths)

    def update_packed(self, layer: int, keys: Tensor, values: Tensor, batch: Batch) -> list[Row]:
        """Append packed ``[tokens, heads, head_width]`` tensors; return each row's, ``[1, heads, n, head_width]``."""
        if layer == len(self._layers):
            self._layers.append(_Layer())
        return self._layers[layer].append_packed(keys, values, self.lengths, batch)

    def advance(self, batch: Batch) -> None:
        """Count the tokens of a finished pass."""
        new = batch.lengths or (batch.width,) * batch.rows
        old = (self.lengths,) * batch.rows if isinstance(self.lengths, int) else self.lengths
        lengths = tuple(a + b for a, b in zip(old, new, strict=True))
        self.lengths = lengths[0] if len(set(lengths)) == 1 else lengths


class _Layer:
    """One layer's keys and values, in a buffer with room to grow, left-aligned."""

    def __init__(self) -> None:
        self._kept: list[Tensor] = []
        self._packed: tuple[Tensor, Tensor, Batch] | None = None

    def dense(self) -> tuple[Tensor, Tensor]:
        if self._packed is not None:
            keys, values, batch = self._packed
            self._kept = [batch.left_aligned(keys).transpose(1, 2), batch.left_aligned(values).transpose(1, 2)]
            self._packed = None
        keys, values = self._kept
        return keys, values

    def append(self, keys: Tensor, values: Tensor, past: tuple[int, ...] | int) -> tuple[Tensor, Tensor]:
        if not self._kept and self._packed is None:
            self._kept = [keys, values]
            return keys, values
        self.dense()
        total = (past if isinstance(past, int) else max(past)) + keys.shape[2]
        self._kept = [_appended(old, new, past) for old, new in zip(self._kept, (keys, values), strict=True)]
        return self._kept[0][:, :, :total], self._kept[1][:, :, :total]

    def append_packed(
        self, keys: Tensor, values: Tensor, past: tuple[int, ...] | int, batch: Batch
    ) -> list[tuple[Tensor, Tensor]]:
        if not self._kept and self._packed is None:
            self._packed = (keys, values, batch)
            return list(zip(split_rows(keys, batch), split_rows(values, batch), strict=True))
        dense = self.append(batch.left_aligned(keys).transpose(1, 2), batch.left_aligned(values).transpose(1, 2), past)
        assert batch.lengths is not None
        olds = (past,) * batch.rows if isinstance(past, int) else past
        ends = [old + new for old, new in zip(olds, batch.lengths, strict=True)]
        return [(dense[0][r : r + 1, :, :end], dense[1][r : r + 1, :, :end]) for r, end in enumerate(ends)]


def split_rows(x: Tensor, batch: Batch) -> list[Tensor]:
    """Packed ``[tokens, heads, width]`` to each row's ``[1, heads, n, width]``, as views."""
    assert batch.lengths is not None
    return [row.transpose(0, 1)[None] for row in x.split(batch.lengths)]


def _appended(old: Tensor, new: Tensor, past: tuple[int, ...] | int) -> Tensor:
    count = new.shape[2]
    if old.shape[0] != new.shape[0]:
        raise InputError(f"past_key_values holds {old.shape[0]} rows, but the input has {new.shape[0]}.")
    longest = past if isinstance(past, int) else max(past)
    if old.shape[2] < longest + count:
        room = new.new_zeros(*old.shape[:2], max(2 * longest, longest + count + 32), old.shape[3])
        room[:, :, : old.shape[2]] = old
        old = room
    elif torch.is_grad_enabled() and (new.requires_grad or old.requires_grad):
        # What an earlier pass saved for its gradient is not written to.
        old = old.clone()
    if isinstance(past, int):
        old[:, :, past : past + count] = new
    else:
        for r, start in enumerate(past):
            old[r, :, start : start + count] = new[r]
    return old
