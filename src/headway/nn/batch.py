"""How the tokens of a batch lie in memory: dense ``[rows, width, ...]``, or packed ``[tokens, ...]`` without padding.

Padding is known from the attention mask alone, never from token ids. A batch whose mask holds zeros is packed before
the first layer and unpacked after the last, so that padding costs nothing and results depend neither on the other
rows nor on the padding's side. A graph that is traced once for all masks keeps the padding where it is (``Padded``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property

import torch
from torch import Tensor

from headway.errors import InputError


class Batch:
    """The layout of one pass.

    Attributes:
        rows, width: the shape that the caller sees.
        lengths: real tokens of each row where the batch is packed, else None.
        index: flat positions of the real tokens in ``[rows * width]`` where packed, else None.
        keep: boolean ``[rows, width]``, True at real tokens, where there is padding, else None.
        past: tokens of each row that a cache holds already; one number where all are equal.
        mask: an explicit attention mask of the caller's, ``[rows, 1 or heads, queries, keys]``, or None.
        prefix: what stands before the names of the call's arguments, for messages.
    """

    def __init__(
        self,
        rows: int,
        width: int,
        device: torch.device,
        keep: Tensor | None = None,
        past: tuple[int, ...] | int = 0,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        prefix: str = "",
    ) -> None:
        self.rows, self.width, self.device, self.past, self.mask = rows, width, device, past, mask
        self.prefix = prefix
        self.lengths: tuple[int, ...] | None = None
        self.index: Tensor | None = None
        self.keep = keep
        self._given = positions
        if keep is not None:
            self.lengths = tuple(keep.sum(1).tolist())
            if 0 in self.lengths:
                row = self.lengths.index(0)
                raise InputError(
                    f"Row {row} of {prefix}attention_mask is all zeros; each row needs one real token or more."
                )
            self.index = keep.flatten().nonzero().squeeze(1)

    @cached_property
    def positions(self) -> Tensor:
        """Position of each token in its row: ``[width]`` or ``[rows, width]``, packed ``[tokens]``; int64.

        A row counts from its first real token, so the padding's side does not matter.
        """
        if self._given is not None:
            given = self._given.expand(self.rows, self.width)
            return given if self.index is None else given.flatten()[self.index]
        steps = torch.arange(self.width, device=self.device)
        if isinstance(self.past, int) and self.keep is None:
            return steps + self.past if self.past else steps
        past = torch.as_tensor(self.past, device=self.device).expand(self.rows)[:, None]
        if self.keep is None:
            return past + steps
        first = self.keep.int().argmax(1, keepdim=True)
        return (past + steps - first).flatten()[self.index]

    @property
    def plain(self) -> bool:
        """Are the positions of all rows the same run of numbers?"""
        return self._given is None and self.lengths is None and isinstance(self.past, int)

    def pack(self, x: Tensor) -> Tensor:
        """``[rows, width, ...]`` to ``[tokens, ...]``; a dense batch stays as it is."""
        return x if self.index is None else x.flatten(0, 1)[self.index]

    def unpack(self, x: Tensor) -> Tensor:
        """The inverse of ``pack``, with zeros where there is padding."""
        if self.index is None:
            return x
        full = x.new_zeros(self.rows * self.width, *x.shape[1:])
        return full.index_copy(0, self.index, x).unflatten(0, (self.rows, self.width))

    def columns(self, row: int) -> Tensor:
        """Where the real tokens of ``row`` stand in the caller's ``width``."""
        if self.keep is None:
            return torch.arange(self.width, device=self.device)
        return self.keep[row].nonzero().squeeze(1)

    @cached_property
    def left_aligned_mask(self) -> Tensor:
        """Boolean ``[rows, longest]``: which places of ``left_aligned`` hold a token."""
        assert self.lengths is not None
        lengths = torch.tensor(self.lengths, device=self.device)
        return torch.arange(max(self.lengths), device=self.device) < lengths[:, None]

    def left_aligned(self, x: Tensor) -> Tensor:
        """Packed ``[tokens, ...]`` to ``[rows, longest, ...]``, rows starting at 0 and ending in zeros."""
        assert self.lengths is not None
        return x.new_zeros(self.rows, max(self.lengths), *x.shape[1:]).masked_scatter(
            self.left_aligned_mask.reshape(self.rows, -1, *(1,) * (x.dim() - 1)), x
        )

    def right_aligned(self, x: Tensor) -> Tensor:
        """Packed ``[tokens, ...]`` to ``[rows, longest, ...]``, rows starting with zeros and ending together."""
        mask = self.left_aligned_mask.flip(1)
        return x.new_zeros(self.rows, mask.shape[1], *x.shape[1:]).masked_scatter(
            mask.reshape(self.rows, -1, *(1,) * (x.dim() - 1)), x
        )

    @cached_property
    def starts(self) -> Tensor:
        """Packed index of each row's first token, ``[rows]``."""
        ends = self.ends
        return torch.cat([ends.new_zeros(1), ends[:-1] + 1])

    @cached_property
    def ends(self) -> Tensor:
        """Packed index of each row's last token, ``[rows]``."""
        return torch.tensor(self.lengths, device=self.device).cumsum(0) - 1

    def nth(self, x: Tensor, at: int) -> Tensor:
        """The real token of each row that has ``at`` before it, ``[rows, channels]``."""
        return x[:, at] if self.lengths is None else x[self.starts + at]

    def last(self, x: Tensor) -> Tensor:
        """The last real token of each row, ``[rows, channels]``."""
        return x[:, -1] if self.lengths is None else x[self.ends]

    def mean(self, x: Tensor, skip: int = 0) -> Tensor:
        """The mean of each row's real tokens after the first ``skip``, ``[rows, channels]``."""
        if self.lengths is None:
            return x[:, skip:].mean(1)
        return torch.stack([row[skip:].mean(0) for row in x.split(self.lengths)])

    def sizes(self, *lengths: int) -> tuple[int, ...]:
        """What tells masks of one pass apart that are made for rows of ``lengths``."""
        return lengths


class Padded(Batch):
    """Dense with the padding left in place: the same steps whatever the mask holds, as a traced graph needs them.

    Real tokens come to the same results as in a packed batch. Rows may be padded on both sides, but a gap within a row
    counts as tokens that nobody sees.

    Attributes:
        keys: boolean ``[rows, past + width]``, True at real tokens, those of a cache first.
    """

    keep: Tensor

    def __init__(
        self, rows: int, width: int, device: torch.device, keys: Tensor, positions: Tensor | None = None
    ) -> None:
        # A past is not the same number in all rows: the keys tell.
        super().__init__(rows, width, device, past=(), positions=positions)
        held = keys.shape[1] - width
        self.keys, self.keep = keys, keys if held == 0 else keys[:, held:]

    @cached_property
    def begins(self) -> Tensor:
        """The column of ``keys`` in which each row begins, ``[rows]``."""
        return self.keys.int().argmax(1)

    @cached_property
    def positions(self) -> Tensor:
        """As in other batches, ``[rows, width]``; 0 at padding."""
        if self._given is not None:
            return self._given.expand(self.rows, self.width)
        columns = torch.arange(self.keys.shape[1], device=self.device)[self.keys.shape[1] - self.width :]
        return (columns - self.begins[:, None]).masked_fill(~self.keep, 0)

    def unpack(self, x: Tensor) -> Tensor:
        """``x`` with zeros where there is padding."""
        return x.masked_fill(~self.keep[(..., *(None,) * (x.dim() - 2))], 0)

    def nth(self, x: Tensor, at: int) -> Tensor:
        return x[torch.arange(self.rows, device=self.device), self.keep.int().argmax(1) + at]

    def last(self, x: Tensor) -> Tensor:
        return x[torch.arange(self.rows, device=self.device), self.width - 1 - self.keep.flip(1).int().argmax(1)]

    def mean(self, x: Tensor, skip: int = 0) -> Tensor:
        counted = (self.keep & (self.keep.cumsum(1) > skip)).to(x.dtype)
        return (counted[:, None] @ x).squeeze(1) / counted.sum(1, keepdim=True)

    def sizes(self, *lengths: int) -> tuple[int, ...]:
        return ()  # all rows are of one length, which is a symbol while a graph is traced


_keeps_padding: ContextVar[bool] = ContextVar("keeps_padding", default=False)


@contextmanager
def padding_kept() -> Iterator[None]:
    """Within, every batch of text is ``Padded``; an attention mask has columns for the tokens of a cache too."""
    before = _keeps_padding.set(True)
    try:
        yield
    finally:
        _keeps_padding.reset(before)


def batch_of(
    rows: int,
    width: int,
    device: torch.device,
    attention_mask: Tensor | None = None,
    position_ids: Tensor | None = None,
    past: tuple[int, ...] | int = 0,
    prefix: str = "",
) -> Batch:
    """The layout that a call's arguments ask for.

    Args:
        attention_mask: ``[rows, width]`` with 1 at real tokens, or with columns for the cached tokens in front; or an
            explicit mask of three or four axes, True or 0 where a query sees a key, which leaves the batch dense.
        position_ids: ``[rows or 1, width]``.
        past: tokens of each row that the cache holds.
        prefix: what stands before the names of the call's arguments, for messages.

    Raises:
        InputError: a mask or positions of another shape, or a row without a real token.
    """
    if position_ids is not None and (
        position_ids.dim() not in (1, 2) or tuple(position_ids.shape) not in ((width,), (1, width), (rows, width))
    ):
        raise InputError(f"Expected position_ids to have shape [{rows}, {width}], got {list(position_ids.shape)}.")
    if _keeps_padding.get():
        keys = past + width  # type: ignore[operator]
        mask = torch.ones(rows, keys, device=device) if attention_mask is None else attention_mask
        if tuple(mask.shape) != (rows, keys):
            raise InputError(f"Expected {prefix}attention_mask to have shape [{rows}, {keys}], got {list(mask.shape)}.")
        return Padded(rows, width, device, mask.bool(), position_ids)
    if attention_mask is None:
        return Batch(rows, width, device, past=past, positions=position_ids, prefix=prefix)
    if not isinstance(attention_mask, Tensor):
        raise InputError(f"Expected {prefix}attention_mask to be a tensor, got a {type(attention_mask).__name__}.")
    shape = attention_mask.shape
    if len(shape) in (3, 4) and shape[0] in (1, rows) and shape[-2] in (1, width) and shape[-1] >= width:
        mask = attention_mask if len(shape) == 4 else attention_mask[:, None]
        return Batch(rows, width, device, past=past, positions=position_ids, mask=_boolean(mask), prefix=prefix)
    if len(shape) != 2 or shape[0] != rows or shape[1] < width:
        raise InputError(
            f"Expected {prefix}attention_mask to have shape [{rows}, {width}], got {list(shape)}; pass one number for "
            "each token, 1 for a real one and 0 for padding."
        )
    keep = attention_mask if shape[1] == width else attention_mask[:, shape[1] - width :]
    whole = bool(keep.all())
    return Batch(rows, width, device, None if whole else keep.bool(), past, position_ids, prefix=prefix)


def _boolean(mask: Tensor) -> Tensor:
    return mask if mask.is_floating_point() else mask.bool()
