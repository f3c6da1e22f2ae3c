"""Word error rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from headway.training.metrics.base import Metric, paired


def edit_distance(given: Sequence[Any], true: Sequence[Any]) -> int:
    """How many items must be put in, left out or exchanged to make ``true`` of ``given`` (Levenshtein)."""
    row = list(range(len(true) + 1))
    for count, item in enumerate(given, 1):
        diagonal, row[0] = row[0], count
        for at, other in enumerate(true, 1):
            fewest = min(diagonal + (item != other), row[at] + 1, row[at - 1] + 1)
            diagonal, row[at] = row[at], fewest
    return row[-1]


class WordErrorRate(Metric):
    """Edits of words over all texts, as a share of the references' words; it can be above 1."""

    def __init__(self) -> None:
        self._edits = self._words = 0

    def add(self, predictions: Sequence[str], references: Sequence[str]) -> None:
        for text, gold in paired(predictions, references):
            words = gold.split()
            self._edits += edit_distance(text.split(), words)
            self._words += len(words)

    def value(self) -> dict[str, float]:
        return {"wer": self._edits / self._words if self._words else math.nan}
