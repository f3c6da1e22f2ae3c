"""What a decoder keeps of past tokens: keys and values of each layer or its state, and how many tokens each row has.

A cache is the caller's and is never stored on a module. Rows are kept without their padding and end in the same
column, so that new tokens of all rows are written in one go and the distance of two columns is that of two tokens.
A layer whose mixer is a recurrence keeps a state of each row in place of its tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from headway.errors import InputError
from headway.nn.batch import Batch
from headway.nn.cached import QuantizedLayer, Row, StateLayer, TokenLayer, other_rows

Cross = tuple[Tensor, Tensor, Tensor | None]


class Cache:
    """Keys and values of past tokens, growing as needed, and states, which do not.

    ``len(cache)`` is the number of layers and ``cache[i]`` layer ``i``'s ``(keys, values)``, each
    ``[rows, heads, tokens, head_width]``; rows shorter than the longest begin with zeros, and a layer with a window
    keeps no more tokens than it needs. A recurrent layer's are the two parts of its state, each ``[rows, ...]``.

    A call goes on in the cache that it is given. For several calls that go on from the same tokens, give each its own
    ``copy.deepcopy(cache)``, or take back with ``crop`` what a call has added.

    Args:
        capacity: tokens that memory is taken for at once, in place of growing.
    """

    _layer: ClassVar[type[TokenLayer]] = TokenLayer

    def __init__(self, capacity: int = 0) -> None:
        self.lengths: tuple[int, ...] | int = 0
        self.capacity = capacity
        self.cross: dict[int, Cross] = {}
        self._layers: list[Any] = []  # each a TokenLayer or a StateLayer, as its mixer has it

    def __len__(self) -> int:
        return len(self._layers)

    def __getitem__(self, layer: int) -> Row:
        found: Row = self._layers[layer].held()
        return found

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens held, of the longest row."""
        return self.lengths if isinstance(self.lengths, int) else max(self.lengths)

    @property
    def rows(self) -> int:
        """Rows held; 0 before the first pass."""
        return self._layers[0].rows if self._layers else 0

    def row_lengths(self, rows: int) -> tuple[int, ...]:
        """Tokens held of each of ``rows`` rows."""
        return (self.lengths,) * rows if isinstance(self.lengths, int) else self.lengths

    @property
    def nbytes(self) -> int:
        """Bytes of memory taken."""
        return sum(layer.nbytes for layer in self._layers)

    def update(self, layer: int, keys: Tensor, values: Tensor, window: int | None = None) -> Row:
        """Append a pass's keys and values, dense ``[rows, heads, new, head_width]``; return all that are visible."""
        if layer == len(self._layers):
            self._layers.append(self._layer(keys, values, self.capacity, window))
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
            self._layers.append(self._layer(dense[0], dense[1], self.capacity, window))
            return list(zip(split_rows(keys, batch), split_rows(values, batch), strict=True))
        past = self.row_lengths(batch.rows)
        found: list[Row] = self._layers[layer].append_ragged(split_rows(keys, batch), split_rows(values, batch), past)
        return found

    def state(self, layer: int, rows: int) -> Row | None:
        """The state that a recurrent layer goes on from; None where nothing came before."""
        if layer == len(self._layers):
            return None
        held: Row = self._layers[layer].held()
        if held[0].shape[0] != rows:
            raise other_rows(held[0].shape[0], rows)
        return held

    def set_state(self, layer: int, state: Row) -> None:
        """Keep the state that a recurrent layer has come to, two tensors ``[rows, ...]``."""
        self._layers[layer : layer + 1] = [StateLayer(state)]

    def advance(self, batch: Batch) -> None:
        """Count the tokens of a finished pass."""
        if batch.lengths is None and isinstance(self.lengths, int):
            self.lengths += batch.width
            return
        new = batch.lengths or (batch.width,) * batch.rows
        self.lengths = _counts([a + b for a, b in zip(self.row_lengths(batch.rows), new, strict=True)])

    # --- what the caller does between passes -----------------------------------------------------------------------

    def crop(self, max_length: int) -> None:
        """Take back the last tokens, so that the longest row keeps ``max_length``; negative: that many go.

        Raises:
            InputError: a row has fewer tokens than are to go, or a layer has let go what it would need.
        """
        length = self.get_seq_length()
        going = -max_length if max_length < 0 else length - max_length
        if going > 0:
            self.take_back((going,) * self.rows)

    def take_back(self, counts: Sequence[int]) -> None:
        """Take back the last ``counts[row]`` tokens of each row; all or, with an error, none."""
        old = self.row_lengths(len(counts))
        left = [a - b for a, b in zip(old, counts, strict=True)]
        if min(left) < 0:
            raise InputError(f"Cannot take back {max(counts)} tokens: a row of the cache holds {min(old)}.")
        for layer in self._layers:
            layer.check_take_back(counts, left)
        for layer in self._layers:
            layer.take_back(counts, left)
        self.lengths = _counts(left)

    @property
    def can_take_back(self) -> bool:
        """Can the last tokens be taken back? A state that has seen them cannot forget them."""
        return not any(isinstance(layer, StateLayer) for layer in self._layers)

    def select(self, rows: Tensor, same_memory: bool = False) -> None:
        """Make the cache one of ``rows``, indices into its rows; a row may be taken several times, or not at all.

        With ``same_memory`` each row takes the place of one that looks at the same memory: what is kept of that stays.
        """
        if not isinstance(self.lengths, int):
            self.lengths = _counts([self.lengths[row] for row in rows.tolist()])
        longest = self.get_seq_length()
        for layer in self._layers:
            layer.select(rows, longest)
        if same_memory:
            return
        for step, (keys, values, mask) in self.cross.items():
            self.cross[step] = (keys[rows], values[rows], None if mask is None else mask[rows])

    def join(self, other: Cache) -> None:
        """Put the rows of ``other`` behind these; ``other`` stays as it is.

        Raises:
            InputError: the two are not of the same model and kind.
        """
        if not self._layers:
            copied = copy.deepcopy(other)
            self.lengths, self.cross, self._layers = copied.lengths, copied.cross, copied._layers
            return
        if len(self) != len(other) or self.cross.keys() != other.cross.keys() or type(self) is not type(other):
            raise InputError(
                f"A {type(self).__name__} of {len(self)} layers cannot be joined by a {type(other).__name__} of "
                f"{len(other)}; join caches of one kind that one model has filled."
            )
        longest = (self.get_seq_length(), other.get_seq_length())
        self.lengths = _counts([*self.row_lengths(self.rows), *other.row_lengths(other.rows)])
        for layer, its in zip(self._layers, other._layers, strict=True):
            layer.join(its, longest, self.capacity)
        for step, memory in other.cross.items():
            self.cross[step] = _joined(self.cross[step], memory)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Tensors that a gradient goes through are no leaves, which copy.deepcopy refuses.
        found = type(self)(self.capacity)
        found.lengths = self.lengths
        found.cross = {
            step: (keys.clone(), values.clone(), None if mask is None else mask.clone())
            for step, (keys, values, mask) in self.cross.items()
        }
        found._layers = [layer.copy() for layer in self._layers]
        return found


class QuantizedCache(Cache):
    """A cache that keeps eight-bit numbers, with a scale for each token and head.

    It takes about a quarter of the memory that a cache of float32 takes. Each number is off by half a scale at most:
    1/254 of the largest of its token and head. The first pass is exact, and so is what an encoder gave.
    """

    _layer = QuantizedLayer


def _joined(one: Cross, other: Cross) -> Cross:
    """Keys and values of two memories, rows of the second behind those of the first; all begin in column 0."""
    widths = [keys.shape[2] if mask is None else int(mask.sum(-1).max()) for keys, _, mask in (one, other)]
    longest, alike = max(widths), one[2] is None and other[2] is None and widths[0] == widths[1]
    keys, values, mask = (
        torch.cat(pair) for pair in zip(_padded(*one, longest), _padded(*other, longest), strict=True)
    )
    return keys, values, None if alike else mask


def _padded(keys: Tensor, values: Tensor, mask: Tensor | None, width: int) -> tuple[Tensor, Tensor, Tensor]:
    more = width - keys.shape[2]  # below zero where the longest rows are gone
    real = keys.new_ones(keys.shape[0], 1, 1, keys.shape[2], dtype=torch.bool) if mask is None else mask
    return F.pad(keys, (0, 0, 0, more)), F.pad(values, (0, 0, 0, more)), F.pad(real, (0, more))


def split_rows(x: Tensor, batch: Batch) -> list[Tensor]:
    """Packed ``[tokens, heads, width]`` to each row's ``[1, heads, n, width]``, as views."""
    assert batch.lengths is not None
    return [row.transpose(0, 1)[None] for row in x.split(batch.lengths)]


def _counts(lengths: list[int]) -> tuple[int, ...] | int:
    return lengths[0] if len(set(lengths)) == 1 else tuple(lengths)
