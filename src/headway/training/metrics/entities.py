"""F1 of entities, as CoNLL-2003 counts them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headway.training.metrics.base import IGNORED, Metric, as_array, labels_of, paired, share

Entity = tuple[str, int, int]

# Prefixes of tags that go on with an entity, and of those that end one.
_INSIDE = ("I", "E", "L")
_LAST = ("E", "L", "S", "U")


def entities(tags: Sequence[str]) -> list[Entity]:
    """``(type, first token, last token)`` of each entity in a sentence's tags.

    Tags are ``O`` or a prefix and a type, such as ``B-PER``: B begins, I goes on, E or L goes on and ends, S or U
    stands alone; a type without a prefix goes on. As in CoNLL's script, what goes on begins an entity where there is
    none of its type.
    """
    return list(_entities(tags))


def _entities(tags: Sequence[str]) -> Iterator[Entity]:
    kind, start = "", None
    for number, tag in enumerate([*tags, "O"]):
        prefix, dash, name = tag.partition("-")
        if not dash and tag != "O":
            prefix, name = "I", tag
        if start is not None and not (prefix in _INSIDE and name == kind):
            yield kind, start, number - 1
            start = None
        if start is None and prefix != "O":
            kind, start = name, number
        if start is not None and prefix in _LAST:
            yield kind, start, number
            start = None


class EntityF1(Metric):
    """Precision, recall and F1 of whole entities over all types, and the accuracy of tags.

    Args:
        labels: tags by label, as a config's ``id2label``; then batches are labels ``[rows, width]`` or scores with one
            axis more, and tokens whose reference is -100 are left out. Without, batches are lists of lists of tags.
        by_type: tell the three numbers of each type as well, as ``PER_f1``.
    """

    def __init__(self, labels: Mapping[int, str] | None = None, by_type: bool = False) -> None:
        self.labels, self.by_type = labels, by_type
        self._right: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._true: Counter[str] = Counter()
        self._tags_right = self._tags = 0

    def add(self, predictions: Any, references: Any) -> None:
        for given, true in self._sentences(predictions, references):
            told, real = set(entities(given)), set(entities(true))
            self._told.update(kind for kind, *_ in told)
            self._true.update(kind for kind, *_ in real)
            self._right.update(kind for kind, *_ in told & real)
            self._tags_right += sum(a == b for a, b in paired(given, true))
            self._tags += len(true)

    def _sentences(self, predictions: Any, references: Any) -> Iterator[tuple[list[str], list[str]]]:
        if self.labels is None:
            yield from paired(predictions, references)
            return
        true = as_array(references)
        given, kept = labels_of(predictions, true)
        ends = (true != IGNORED).sum(1).cumsum()
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            yield (
                [self.labels[label] for label in given[start:end].tolist()],
                [self.labels[label] for label in kept[start:end].tolist()],
            )

    def value(self) -> dict[str, float]:
        if not self._tags:
            return dict.fromkeys(("precision", "recall", "f1", "accuracy"), math.nan)
        found = _scores("", self._right.total(), self._told.total(), self._true.total())
        found["accuracy"] = self._tags_right / self._tags
        for kind in sorted(self._told.keys() | self._true.keys()) if self.by_type else ():
            found |= _scores(f"{kind}_", self._right[kind], self._told[kind], self._true[kind])
        return found


def _scores(name: str, right: int, told: int, true: int) -> dict[str, float]:
    scores = share(right, told), share(right, true), share(2 * right, told + true)
    return {f"{name}{kind}": score for kind, score in zip(("precision", "recall", "f1"), scores, strict=True)}
