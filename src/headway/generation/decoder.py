"""A model at work on some rows of text: what it is fed, and the scores of the next token that it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from headway.nn.cache import Cache
from headway.nn.run import Memory, Wants

NOTHING = -1  # stands before the tokens of rows that are shorter than the longest
NOTHING_MORE = Wants()


@dataclass
class Recorded:
    """What the passes of a call recorded, a list item for each."""

    attentions: list[Any] = field(default_factory=list)
    cross: list[Any] = field(default_factory=list)
    hidden: list[Any] = field(default_factory=list)


class Decoder:
    """Feeds ``model`` and keeps its cache; without one, every pass reads the whole text again.

    Args:
        model: a model with a head to the vocabulary.
        cache: the past, or None.
        memory: an encoder's states, for a model that has one.
        wants: what to record of every pass.
    """

    def __init__(
        self, model: Any, cache: Cache | None, memory: Memory | None = None, wants: Wants = NOTHING_MORE
    ) -> None:
        self.model, self.cache, self.memory, self.wants = model, cache, memory, wants
        self.recorded = Recorded()
        self._ids: Tensor | None = None

    def feed(self, ids: Tensor, mask: Tensor | None = None, every: bool = False, **extra: Any) -> Tensor:
        """Scores ``[rows, vocabulary]`` of the token after ``ids [rows, n]``, or of all ``[rows, n, vocabulary]``.

        Args:
            mask: ``[rows, n]``, 1 at real tokens; each row needs one.
            extra: further inputs of the model for these tokens.
        """
        count = ids.shape[1]
        if self.cache is None:
            new = ids if mask is None else ids.masked_fill(mask == 0, NOTHING)
            ids = new if self._ids is None else torch.cat((self._ids, new), 1)
            self._ids = ids
            mask = None if int(ids.min()) >= 0 else (ids >= 0).long()
            ids = ids.clamp(min=0)
        scores, trace = self.model.next_scores(ids, mask, self.cache, self.memory, self.wants, every=every, **extra)
        if every:
            scores = scores[:, -count:]
        if trace.attentions:
            self.recorded.attentions.append(tuple(trace.attentions))
            self.recorded.cross.append(tuple(trace.cross))
        if self.wants.hidden:
            self.recorded.hidden.append(tuple(trace.hidden))
        found: Tensor = scores
        return found

    def select(self, rows: Tensor, same_memory: bool = False) -> None:
        """Go on with ``rows``, indices into the present ones; see ``Cache.select``."""
        if self.cache is not None:
            self.cache.select(rows, same_memory)
        if self._ids is not None:
            self._ids = self._ids[rows]
        if self.memory is not None and not same_memory:
            self.memory = self.memory.select(rows)

    def join(self, other: Decoder) -> None:
        """Go on with the rows of ``other`` too, behind the present ones; both have a cache."""
        assert self.cache is not None
        assert other.cache is not None
        self.cache.join(other.cache)
        if self.memory is not None and other.memory is not None:
            self.memory = self.memory.join(other.memory)

    def take_back(self, counts: list[int]) -> None:
        """Forget the last ``counts[row]`` tokens of each row."""
        if not any(counts):
            return
        if self.cache is not None:
            self.cache.take_back(counts)
            return
        assert self._ids is not None
        rows = [row[: len(row) - count] for row, count in zip(self._ids, counts, strict=True)]
        self._ids = right_aligned(rows)


def right_aligned(rows: list[Tensor], fill: int = NOTHING) -> Tensor:
    """Rows of ids as one tensor ``[rows, longest]``, ending together; ``fill`` stands before the shorter ones."""
    longest = max(map(len, rows))
    found = torch.full((len(rows), longest), fill, dtype=torch.int64, device=rows[0].device)
    for out, row in zip(found, rows, strict=True):
        out[longest - len(row) :] = row
    return found
