"""What a cache keeps of one layer: keys and values of its tokens, as they are or as eight-bit numbers, or a state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from headway.errors import InputError

Row = tuple[Tensor, Tensor]

# Tokens that a layer with a window keeps beyond it, so that the last ones can be taken back.
SLACK = 64


class TokenLayer:
    """Columns ``start`` to ``end`` of buffers with room behind.

    ``parts`` are the buffers, each ``[rows, heads, columns, ...]``: keys and values, or what ``stored`` makes of them.
    """

    def __init__(self, keys: Tensor, values: Tensor, capacity: int, window: int | None) -> None:
        self.parts = self.stored(keys, values)
        self.start, self.end = 0, keys.shape[2]
        self.window = window
        if capacity > self.end and window is None:
            self._move(self.end, capacity)

    @staticmethod
    def stored(keys: Tensor, values: Tensor) -> tuple[Tensor, ...]:
        """What is kept of keys and values, each ``[rows, heads, tokens, ...]``."""
        return keys, values

    @staticmethod
    def read(*parts: Tensor) -> Row:
        """Keys and values of what is kept."""
        keys, values = parts
        return keys, values

    @property
    def rows(self) -> int:
        return self.parts[0].shape[0]

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.parts)

    def held(self) -> Row:
        return self._columns(self.start)

    def copy(self) -> Self:
        found = object.__new__(type(self))
        found.__dict__.update(self.__dict__, parts=tuple(part.clone() for part in self.parts))
        return found

    def append(self, keys: Tensor, values: Tensor) -> Row:
        rows, _, room = self.parts[0].shape[:3]
        if rows != keys.shape[0]:
            raise other_rows(rows, keys.shape[0])
        count, new = keys.shape[2], self.stored(keys, values)
        seen = self._seen(count)
        if self.end + count > room:
            kept = self.end - self.start if self.window is None else min(seen + SLACK, self.end - self.start)
            self._move(kept, max(2 * kept, kept + count + 32))
        elif torch.is_grad_enabled() and any(part.requires_grad for part in (*new, *self.parts)):
            # What an earlier pass saved for its gradient is not written to.
            self.parts = tuple(part.clone() for part in self.parts)
        start, end = self.end, self.end + count
        for part, tokens in zip(self.parts, new, strict=True):
            part[:, :, start:end] = tokens
        self.end = end
        return self._columns(max(self.start, start - seen))

    def append_ragged(self, keys: list[Tensor], values: list[Tensor], past: Sequence[int]) -> list[Row]:
        """Append each row's ``[1, heads, n, head_width]``; rows are moved so that they end together again."""
        held = [min(count, self.end - self.start) for count in past]
        totals = [old + new.shape[2] for old, new in zip(held, keys, strict=True)]
        longest = max(totals)
        rooms = tuple(part.new_zeros(*part.shape[:2], longest + 32, *part.shape[3:]) for part in self.parts)
        for row, (count, key, value) in enumerate(zip(held, keys, values, strict=True)):
            fresh = longest - key.shape[2]
            for room, old, new in zip(rooms, self.parts, self.stored(key, value), strict=True):
                room[row, :, fresh - count : fresh] = old[row, :, self.end - count : self.end]
                room[row, :, fresh:longest] = new[0]
        self.parts = rooms
        self.start, self.end = 0, longest
        firsts = [
            max(longest - total, longest - part.shape[2] - self._seen(part.shape[2]))
            for total, part in zip(totals, keys, strict=True)
        ]
        return [
            self.read(*(part[row : row + 1, :, first:longest] for part in rooms)) for row, first in enumerate(firsts)
        ]

    def check_take_back(self, counts: Sequence[int], left: Sequence[int]) -> None:
        """See that the last ``counts[row]`` tokens of each row can go, so that it has ``left[row]``."""
        if self.window is None:
            return
        for size, length in zip(self._sizes(counts, left), left, strict=True):
            if size < min(length, self.window - 1):
                raise InputError(
                    f"Cannot take back {max(counts)} tokens: a layer with a window of {self.window} has let go of what "
                    f"would be seen then; up to {SLACK} can be taken back."
                )

    def take_back(self, counts: Sequence[int], left: Sequence[int]) -> None:
        """Take back what was checked."""
        sizes = self._sizes(counts, left)
        end = self.end - min(counts)
        if len(set(counts)) > 1:
            moved = tuple(torch.zeros_like(part) for part in self.parts)
            for row, (size, count) in enumerate(zip(sizes, counts, strict=True)):
                for new, old in zip(moved, self.parts, strict=True):
                    new[row, :, end - size : end] = old[row, :, self.end - count - size : self.end - count]
            self.parts = moved
        self.end = end
        self.start = max(self.start, end - max(left))

    def select(self, rows: Tensor, longest: int) -> None:
        """Take ``rows``, of which the longest has ``longest`` tokens."""
        first = max(self.start, self.end - longest)
        self.parts = tuple(_taken(part, rows, first, self.end) for part in self.parts)
        self.start, self.end = 0, self.end - first

    def join(self, other: Self, longest: tuple[int, int], capacity: int) -> None:
        """Put the rows of ``other`` behind these, so that all end in the same column.

        Args:
            longest: tokens of the longest row here and there.
            capacity: columns to take memory for, where there is no window.
        """
        held = (self.end - self.start, other.end - other.start)
        # Where a window let go of tokens, rows that still have theirs let go of them too: one count holds for all.
        kept = min((size for size, length in zip(held, longest, strict=True) if length > size), default=max(held))
        room = max(kept + 32, capacity if self.window is None else 0)
        first, joined = self.rows, []
        for mine, its in zip(self.parts, other.parts, strict=True):
            new = mine.new_zeros(first + other.rows, mine.shape[1], room, *mine.shape[3:])
            for rows, old, layer, size in ((new[:first], mine, self, held[0]), (new[first:], its, other, held[1])):
                count = min(size, kept)
                rows[:, :, kept - count : kept] = old[:, :, layer.end - count : layer.end]
            joined.append(new)
        self.parts = tuple(joined)
        self.start, self.end = 0, kept

    def _sizes(self, counts: Sequence[int], left: Sequence[int]) -> list[int]:
        """Columns of each row that hold tokens when its last ``counts[row]`` are gone."""
        return [min(length, self.end - count - self.start) for length, count in zip(left, counts, strict=True)]

    def _columns(self, first: int) -> Row:
        end = self.end
        return self.read(*[part[:, :, first:end] for part in self.parts])

    def _seen(self, count: int) -> int:
        """How many columns before ``count`` new ones these look at."""
        return self.end - self.start if self.window is None else self.window - 1

    def _move(self, kept: int, room: int) -> None:
        """Put the last ``kept`` columns at the front of buffers with ``room`` columns."""
        moved = []
        for old in self.parts:
            new = old.new_empty(*old.shape[:2], room, *old.shape[3:])
            new[:, :, :kept] = old[:, :, self.end - kept : self.end]
            moved.append(new)
        self.parts = tuple(moved)
        self.start, self.end = 0, kept


class QuantizedLayer(TokenLayer):
    """Keys and values as eight-bit numbers, with a scale for each token and head."""

    @staticmethod
    def stored(keys: Tensor, values: Tensor) -> tuple[Tensor, ...]:
        return *_quantized(keys), *_quantized(values)

    @staticmethod
    def read(*parts: Tensor) -> Row:
        keys, key_scales, values, value_scales = parts
        return keys * key_scales, values * value_scales


def _quantized(x: Tensor) -> Row:
    """``x`` as whole numbers from -127 to 127, and the scales ``[..., 1]`` that they are to be multiplied with."""
    x = x.detach()
    scales = x.abs().amax(-1, keepdim=True) / 127
    # A token of zeros alone has no scale to divide by.
    return (x / scales.clamp(min=torch.finfo(x.dtype).tiny)).round().clamp(-127, 127).to(torch.int8), scales


class StateLayer:
    """What one recurrent layer knows of each row's tokens, two tensors ``[rows, ...]``."""

    def __init__(self, parts: Row) -> None:
        self.parts = parts

    @property
    def rows(self) -> int:
        return self.parts[0].shape[0]

    @property
    def nbytes(self) -> int:
        return self.parts[0].nbytes + self.parts[1].nbytes

    def held(self) -> Row:
        return self.parts

    def copy(self) -> StateLayer:
        return StateLayer((self.parts[0].clone(), self.parts[1].clone()))

    def check_take_back(self, counts: Sequence[int], left: Sequence[int]) -> None:
        if any(counts):
            raise InputError(
                "Tokens cannot be taken back from this cache, because layers keep one state of all tokens; keep a copy "
                "of the cache (copy.deepcopy) from before them."
            )

    def take_back(self, counts: Sequence[int], left: Sequence[int]) -> None:
        """Nothing is taken back where there is a state."""

    def select(self, rows: Tensor, longest: int) -> None:
        self.parts = self.parts[0][rows], self.parts[1][rows]

    def join(self, other: StateLayer, longest: tuple[int, int], capacity: int) -> None:
        one, two = (torch.cat(pair) for pair in zip(self.parts, other.parts, strict=True))
        self.parts = one, two


def _taken(part: Tensor, rows: Tensor, first: int, end: int) -> Tensor:
    """``rows`` of the columns ``first`` to ``end``, with the room behind them as it was; that is not copied."""
    held = part[:, :, first:end]
    if torch.is_grad_enabled() and part.requires_grad:
        return held[rows]
    taken = part.new_empty(len(rows), part.shape[1], part.shape[2] - first, *part.shape[3:])
    torch.index_select(held, 0, rows.to(part.device), out=taken[:, :, : end - first])
    return taken


def other_rows(held: int, given: int) -> InputError:
    """The error for a cache of other rows than the input's."""
    return InputError(f"past_key_values holds {held} rows, but the input has {given}; pass a cache of the same rows.")
