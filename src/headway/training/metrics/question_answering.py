"""SQuAD's exact match and F1 (Rajpurkar et al. 2016, arXiv:1606.05250; 2018, arXiv:1806.03822)."""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from headway.training.metrics.base import Metric, paired, share

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(answer: str) -> str:
    """Lower case, without punctuation, English articles and spare white space."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_WITHOUT_PUNCTUATION)).split())


def exact_match(answer: str, gold: str) -> float:
    """1 where the two answers are the same once ``normalised``, else 0."""
    return float(normalised(answer) == normalised(gold))


def token_f1(answer: str, gold: str) -> float:
    """F1 of the words that two answers share; where one is empty, 1 only if both are."""
    given, true = normalised(answer).split(), normalised(gold).split()
    if not given or not true:
        return float(given == true)
    return share(2 * (Counter(given) & Counter(true)).total(), len(given) + len(true))


class Squad(Metric):
    """Mean ``exact_match`` and ``f1`` in percent; of several right answers the best counts.

    Predictions are texts, references texts or lists of them; an empty text or list says that there is no answer.
    """

    def __init__(self) -> None:
        self._exact = self._f1 = 0.0
        self._answers = 0

    def add(self, predictions: Sequence[str], references: Sequence[Any]) -> None:
        for answer, gold in paired(predictions, references):
            right = [gold] if isinstance(gold, str) else list(gold) or [""]
            self._exact += _best(exact_match, answer, right)
            self._f1 += _best(token_f1, answer, right)
            self._answers += 1

    def value(self) -> dict[str, float]:
        count = self._answers or math.nan
        return {"exact_match": 100 * self._exact / count, "f1": 100 * self._f1 / count}


def _best(score: Callable[[str, str], float], answer: str, right: Sequence[str]) -> float:
    return max(score(answer, one) for one in right)
