"""What a decoder keeps of past tokens: keys and values of each layer or its state, and how many tokens each row has.

A cache is the caller's and is never stored on a module. Rows are kept without their padding and end in the same
column, so that new tokens of all rows are written in one go and the distance of two columns is that of two tokens.
A layer whose mixer is a recurrence keeps a state of each row in place of its tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from headway.errors import InputError
from headway.nn.batch import Batch

Row = tuple[Tensor, Tensor]

# Tokens that a layer with a window keeps beyond it, so that the last ones can be taken back.
SLACK = 64


class Cache:
    """Keys and values of past tokens, growing as needed, and states, which do not.

    ``len(cache)`` is the number of layers and ``cache[i]`` layer ``i``'s ``(keys, values)``, each
    ``[rows, heads, tokens, head_width]``; rows shorter than the longest begin with zeros, and a layer with a window
    keeps no more tokens than it needs. A recurrent layer's are the two parts of its state, each ``[rows, ...]``.

    Args:
        capacity: tokens that memory is taken for at once, in place of growing.
    """

    def __init__(self, capacity: int = 0) -> None:
        self.lengths: tuple[int, ...] | int = 0
        self.capacity = capacity
        self.cross: dict[int, tuple[Tensor, Tensor, Tensor | None]] = {}
        self._layers: list[Any] = []  # each a _Layer or a _State, as its mixer has it

    def __len__(self) -> int:
        return len(self._layers)

    def __getitem__(self, layer: int) -> Row:
        found: Row = self._layers[layer].held()
        return found

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens held, of the longest row."""
        return self.lengths if isinstance(self.lengths, int) else max(self.lengths)

    @property
    def nbytes(self) -> int:
        """Bytes of memory taken."""
        return sum(layer.nbytes for layer in self._layers)

    def update(self, layer: int, keys: Tensor, values: Tensor, window: int | None = None) -> Row:
        """Append a pass's keys and values, dense ``[rows, heads, new, head_width]``; return all that are visible."""
        if layer == len(self._layers):
            self._layers.append(_Layer(keys, values, self.capacity, window))
            return keys, values
        found: Row = self._layers[layer].append(keys, values)
        return found

    def update_packed(
        self, layer: int, keys: Tensor, values: Tensor, batch: Batch, window: int | None = None
    ) -> list[Row]:
        """Append packed ``[tokens, heads, head_width]`` tensors; return each row's, ``[1, heads, n, head_width]``."""
        assert batch.lengths is not None
        if layer == len(self._layers):
            dense = [batch.right_aligned(x).transpose(1, 2) for x in (keys, values)]
            self._layers.append(_Layer(dense[0], dense[1], self.capacity, window))
            return list(zip(split_rows(keys, batch), split_rows(values, batch), strict=True))
        past = (self.lengths,) * batch.rows if isinstance(self.lengths, int) else self.lengths
        found: list[Row] = self._layers[layer].append_ragged(split_rows(keys, batch), split_rows(values, batch), past)
        return found

    def state(self, layer: int, rows: int) -> Row | None:
        """The state that a recurrent layer goes on from; None where nothing came before."""
        if layer == len(self._layers):
            return None
        held: Row = self._layers[layer].held()
        if held[0].shape[0] != rows:
            raise _other_rows(held[0].shape[0], rows)
        return held

    def set_state(self, layer: int, state: Row) -> None:
        """Keep the state that a recurrent layer has come to, two tensors ``[rows, ...]``."""
        self._layers[layer : layer + 1] = [_State(state)]

    def advance(self, batch: Batch) -> None:
        """Count the tokens of a finished pass."""
        if batch.lengths is None and isinstance(self.lengths, int):
            self.lengths += batch.width
            return
        new = batch.lengths or (batch.width,) * batch.rows
        old = (self.lengths,) * batch.rows if isinstance(self.lengths, int) else self.lengths
        self.lengths = _counts([a + b for a, b in zip(old, new, strict=True)])

    # --- what the caller does between passes -----------------------------------------------------------------------

    def crop(self, max_length: int) -> None:
        """Take back the last tokens, so that the longest row keeps ``max_length``; negative: that many go.

        Raises:
            InputError: a row has fewer tokens than are to go, or a layer has let go what it would need.
        """
        length = self.get_seq_length()
        going = -max_length if max_length < 0 else length - max_length
        if going > 0:
            self.take_back((going,) * self._rows)

    def take_back(self, counts: Sequence[int]) -> None:
        """Take back the last ``counts[row]`` tokens of each row."""
        old = (self.lengths,) * len(counts) if isinstance(self.lengths, int) else self.lengths
        left = [a - b for a, b in zip(old, counts, strict=True)]
        if min(left) < 0:
            raise InputError(f"Cannot take back {max(counts)} tokens: a row of the cache holds {min(old)}.")
        if any(counts) and not self.can_take_back:
            raise InputError(
                "Tokens cannot be taken back from this cache, because layers keep one state of all tokens; keep a copy "
                "of the cache (copy.deepcopy) from before them."
            )
        for layer in self._layers:
            layer.take_back(counts, left)
        self.lengths = _counts(left)

    @property
    def can_take_back(self) -> bool:
        """Can the last tokens be taken back? A state that has seen them cannot forget them."""
        return not any(isinstance(layer, _State) for layer in self._layers)

    def select(self, rows: Tensor) -> None:
        """Make the cache one of ``rows``, indices into its rows; a row may be taken several times, or not at all."""
        if not isinstance(self.lengths, int):
            self.lengths = _counts([self.lengths[row] for row in rows.tolist()])
        longest = self.get_seq_length()
        for layer in self._layers:
            layer.select(rows, longest)
        for step, (keys, values, mask) in self.cross.items():
            self.cross[step] = (keys[rows], values[rows], None if mask is None else mask[rows])

    @property
    def _rows(self) -> int:
        return self._layers[0].held()[0].shape[0] if self._layers else 0


class _State:
    """What one recurrent layer knows of each row's tokens."""

    def __init__(self, parts: Row) -> None:
        self.parts = parts

    @property
    def nbytes(self) -> int:
        return self.parts[0].nbytes + self.parts[1].nbytes

    def held(self) -> Row:
        return self.parts

    def take_back(self, counts: Sequence[int], left: Sequence[int]) -> None:
        """Nothing is taken back where there is a state."""

    def select(self, rows: Tensor, longest: int) -> None:
        self.parts = self.parts[0][rows], self.parts[1][rows]


class _Layer:
    """One layer's keys and values: columns ``start`` to ``end`` of two buffers with room behind."""

    def __init__(self, keys: Tensor, values: Tensor, capacity: int, window: int | None) -> None:
        self.keys, self.values = keys, values
        self.start, self.end = 0, keys.shape[2]
        self.window = window
        if capacity > self.end and window is None:
            self._move(self.end, capacity)

    def held(self) -> Row:
        return self.keys[:, :, self.start : self.end], self.values[:, :, self.start : self.end]

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes

    def append(self, keys: Tensor, values: Tensor) -> Row:
        if self.keys.shape[0] != keys.shape[0]:
            raise _other_rows(self.keys.shape[0], keys.shape[0])
        count = keys.shape[2]
        seen = self._seen(count)
        if self.end + count > self.keys.shape[2]:
            kept = self.end - self.start if self.window is None else min(seen + SLACK, self.end - self.start)
            self._move(kept, max(2 * kept, kept + count + 32))
        elif torch.is_grad_enabled() and (keys.requires_grad or self.keys.requires_grad):
            # What an earlier pass saved for its gradient is not written to.
            self.keys, self.values = self.keys.clone(), self.values.clone()
        self.keys[:, :, self.end : self.end + count] = keys
        self.values[:, :, self.end : self.end + count] = values
        self.end += count
        first = max(self.start, self.end - count - seen)
        return self.keys[:, :, first : self.end], self.values[:, :, first : self.end]

    def append_ragged(self, keys: list[Tensor], values: list[Tensor], past: Sequence[int]) -> list[Row]:
        """Append each row's ``[1, heads, n, head_width]``; rows are moved so that they end together again."""
        held = [min(count, self.end - self.start) for count in past]
        totals = [old + new.shape[2] for old, new in zip(held, keys, strict=True)]
        longest = max(totals)
        for name, new in (("keys", keys), ("values", values)):
            old = getattr(self, name)
            room = old.new_zeros(*old.shape[:2], longest + 32, old.shape[3])
            for row, (count, part) in enumerate(zip(held, new, strict=True)):
                fresh = longest - part.shape[2]
                room[row, :, fresh - count : fresh] = old[row, :, self.end - count : self.end]
                room[row, :, fresh:longest] = part[0]
            setattr(self, name, room)
        self.start, self.end = 0, longest
        firsts = [
            max(longest - total, longest - part.shape[2] - self._seen(part.shape[2]))
            for total, part in zip(totals, keys, strict=True)
        ]
        return [
            (self.keys[row : row + 1, :, first:longest], self.values[row : row + 1, :, first:longest])
            for row, first in enumerate(firsts)
        ]

    def take_back(self, counts: Sequence[int], left: Sequence[int]) -> None:
        sizes = [min(length, self.end - count - self.start) for length, count in zip(left, counts, strict=True)]
        if self.window is not None and any(a < min(b, self.window - 1) for a, b in zip(sizes, left, strict=True)):
            raise InputError(
                f"Cannot take back {max(counts)} tokens: a layer with a window of {self.window} has let go of what "
                f"would be seen then; up to {SLACK} can be taken back."
            )
        end = self.end - min(counts)
        if len(set(counts)) > 1:
            for name in ("keys", "values"):
                old = getattr(self, name)
                moved = torch.zeros_like(old)
                for row, (size, count) in enumerate(zip(sizes, counts, strict=True)):
                    moved[row, :, end - size : end] = old[row, :, self.end - count - size : self.end - count]
                setattr(self, name, moved)
        self.end = end
        self.start = max(self.start, end - max(left))

    def select(self, rows: Tensor, longest: int) -> None:
        """Take ``rows``, of which the longest has ``longest`` tokens."""
        first = max(self.start, self.end - longest)
        self.keys, self.values = self.keys[rows, :, first:], self.values[rows, :, first:]
        self.start, self.end = 0, self.end - first

    def _seen(self, count: int) -> int:
        """How many columns before ``count`` new ones these look at."""
        return self.end - self.start if self.window is None else self.window - 1

    def _move(self, kept: int, room: int) -> None:
        """Put the last ``kept`` columns at the front of buffers with ``room`` columns."""
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = old.new_zeros(*old.shape[:2], room, old.shape[3])
            new[:, :, :kept] = old[:, :, self.end - kept : self.end]
            setattr(self, name, new)
        self.start, self.end = 0, kept


def split_rows(x: Tensor, batch: Batch) -> list[Tensor]:
    """Packed ``[tokens, heads, width]`` to each row's ``[1, heads, n, width]``, as views."""
    assert batch.lengths is not None
    return [row.transpose(0, 1)[None] for row in x.split(batch.lengths)]


def _other_rows(held: int, given: int) -> InputError:
    return InputError(f"past_key_values holds {held} rows, but the input has {given}; pass a cache of the same rows.")


def _counts(lengths: list[int]) -> tuple[int, ...] | int:
    return lengths[0] if len(set(lengths)) == 1 else tuple(lengths)
