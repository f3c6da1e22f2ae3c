"""ROUGE: what a text shares with a reference (Lin 2004, https://aclanthology.org/W04-1013)."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from headway.training.metrics.base import Metric, paired, share

_WORD = re.compile(r"[a-z0-9]+")
NAMES = ("rouge1", "rouge2", "rougeL")


def rouge(prediction: str, reference: str) -> dict[str, float]:
    """F1 of words (``rouge1``), of pairs of words (``rouge2``) and of the longest common subsequence (``rougeL``).

    Words are runs of ASCII letters and digits in lower case, without stemming.
    """
    given, true = _WORD.findall(prediction.lower()), _WORD.findall(reference.lower())
    common = _common_subsequence(given, true)
    return {
        "rouge1": _overlap(given, true, 1),
        "rouge2": _overlap(given, true, 2),
        "rougeL": share(2 * common, len(given) + len(true)),
    }


def _overlap(given: Sequence[str], true: Sequence[str], size: int) -> float:
    one, other = (
        Counter(tuple(words[at : at + size]) for at in range(len(words) - size + 1)) for words in (given, true)
    )
    return share(2 * (one & other).total(), one.total() + other.total())


def _common_subsequence(given: Sequence[str], true: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(true) + 1)
    for word in given:
        diagonal = 0
        for at, other in enumerate(true, 1):
            longest = diagonal + 1 if word == other else max(row[at], row[at - 1])
            diagonal, row[at] = row[at], longest
    return row[-1]


class Rouge(Metric):
    """The mean of ``rouge`` over texts; of several references the best of each number counts."""

    def __init__(self) -> None:
        self._sums = dict.fromkeys(NAMES, 0.0)
        self._texts = 0

    def add(self, predictions: Sequence[str], references: Sequence[Any]) -> None:
        for text, gold in paired(predictions, references):
            found = [rouge(text, one) for one in ([gold] if isinstance(gold, str) else gold)]
            for name in NAMES:
                self._sums[name] += max(scores[name] for scores in found)
            self._texts += 1

    def value(self) -> dict[str, float]:
        return {name: total / (self._texts or math.nan) for name, total in self._sums.items()}
