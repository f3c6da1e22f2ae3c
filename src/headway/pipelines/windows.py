"""Texts that are longer than a model takes, as windows that overlap; nothing of the text is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headway.errors import InputError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Window:
    """A part of a text that fits a model, framed as the whole text is.

    ``tokens [width]`` are its tokens' numbers in the whole text, in order. ``margin [width]`` says how far each is from
    where the text was cut: of several windows with a token, the one with the largest has seen most around it.
    """

    tokens: Array
    margin: Array


def whole(count: int) -> Window:
    """The one window of a text that fits."""
    return Window(np.arange(count), np.zeros(count, dtype=np.int64))


def split(sequences: Sequence[int | None], moving: int, limit: int, overlap: int | None) -> list[Window]:
    """Cut a text that is too long into windows.

    Args:
        sequences: for each token the number of the text it belongs to, None for those of the frame.
        moving: the number of the text that is cut; all else is in every window.
        limit: tokens of a window.
        overlap: tokens that neighbours share; None is a quarter, and it is half at most.

    Raises:
        InputError: what is in every window leaves no room.
    """
    count = len(sequences)
    places = [place for place, sequence in enumerate(sequences) if sequence == moving]
    start, end = (places[0], places[-1] + 1) if places else (count, count)
    size = limit - (count - (end - start))
    if size < 1:
        raise InputError(
            f"The input has {count - (end - start)} tokens that belong in every window of {limit}, so there is no room "
            "for the rest of it; shorten them."
        )
    shared = size // 4 if overlap is None else min(overlap, size // 2)
    firsts = list(range(start, max(end - size, start), size - shared))
    last = max(end - size, start)
    windows = []
    for number, first in enumerate([*firsts, last]):
        inner = np.arange(first, min(first + size, end))
        far = np.full(len(inner), count)
        left = inner - first if first > start else far
        right = inner[-1] - inner if inner[-1] + 1 < end else far
        # Of the frame's tokens those before the text are the first window's, those after it the last one's.
        before, after = np.zeros(start, dtype=np.int64), np.full(count - end, number)
        tokens = np.concatenate((np.arange(start), inner, np.arange(end, count)))
        windows.append(Window(tokens, np.concatenate((before, np.minimum(left, right), after))))
    return windows


def merge(windows: Sequence[Window], rows: Sequence[Array]) -> tuple[Array, Array]:
    """Values ``[width, ...]`` for the tokens of each window, as one value for each token.

    Returns:
        The numbers of the tokens ``[tokens]``, in order, and their values ``[tokens, ...]``.
    """
    if len(windows) == 1:
        return windows[0].tokens, rows[0]
    tokens, margins, values = (
        np.concatenate(parts) for parts in ([w.tokens for w in windows], [w.margin for w in windows], rows)
    )
    # By token, of its values the one with the largest margin first (the first window's, where several are equal).
    order = np.lexsort((-margins, tokens))
    numbers, firsts = np.unique(tokens[order], return_index=True)
    return numbers, values[order[firsts]]
