"""Texts that are longer than a model takes, as parts that are written about one by one."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

# Where a text may be cut, the best places first: what they match stands between two parts.
PLACES = (
    re.compile(r"\s*\n\s*\n\s*"),  # paragraphs
    re.compile(r"(?<=[.!?…])[\"'”’»)\]]*(\s+)|(?<=[。！？｡])[」』”’）]*()|(\s*\n\s*)"),  # sentences and lines
    re.compile(r"(?<=[;:,])(\s+)|(?<=[，；：、])()"),  # clauses
    re.compile(r"\s+"),  # words
)


@dataclass(frozen=True)
class Part:
    """A part of a text, and what stands between it and the next."""

    text: str
    after: str


def cut(text: str, starts: Sequence[int], room: int) -> list[Part]:
    """Cut a text into as few parts as hold at most ``room`` tokens each, of about one length.

    A cut goes to the nearest end of a paragraph, a sentence, a clause or a word, in this order of preference, that lies
    in reach, and only where there is none of them between two tokens. Nothing is left out: the parts and what stands
    between them are the text.

    Args:
        text: the text.
        starts: for each token the number of the character it begins with, in order.
        room: tokens of a part.
    """
    parts, begin, first = [], 0, 0
    while len(starts) - first > room:
        count = -(-(len(starts) - first) // room)
        ideal = starts[first + -(-(len(starts) - first) // count)]
        end, after = _place(text, begin, starts[first + room], ideal)
        if bisect_left(starts, after) <= first:  # a token that begins no later than the last one
            end = after = max(starts[first + room], begin + 1)
        parts.append(Part(text[begin:end], text[end:after]))
        begin, first = after, bisect_left(starts, after)
    return [*parts, Part(text[begin:], "")]


def _place(text: str, begin: int, end: int, ideal: int) -> tuple[int, int]:
    """Where to cut between two characters: the end of a part and the beginning of the next."""
    least = begin + (end - begin) // 4
    for pattern in PLACES:
        spans = (match.span(match.lastindex or 0) for match in pattern.finditer(text, begin))
        inner = [span for span in takewhile(lambda span: span[0] <= end, spans) if span[0] > least]
        if inner:
            return min(inner, key=lambda span: abs(span[0] - ideal))
    return end, end


def joined(texts: Sequence[str], parts: Sequence[Part]) -> str:
    """What was written about each part, with what stood between the parts."""
    pairs = zip(texts[:-1], parts[:-1], strict=True)
    return "".join(text + (part.after or _between(text)) for text, part in pairs) + texts[-1]


def _between(text: str) -> str:
    """What follows a text where nothing did in the one it is made of, as between Chinese sentences."""
    return " " if text[-1:].isascii() else ""
