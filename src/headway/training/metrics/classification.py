"""Metrics of labels: accuracy, F1 and Matthews' correlation."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from headway.errors import InputError, did_you_mean
from headway.training.metrics.base import Metric, labels_of, share

AVERAGES = ("binary", "micro", "macro", "weighted")


class Accuracy(Metric):
    """The share of labels that are right."""

    def __init__(self) -> None:
        self._right = self._all = 0

    def add(self, predictions: Any, references: Any) -> None:
        given, true = labels_of(predictions, references)
        self._right += int((given == true).sum())
        self._all += len(true)

    def value(self) -> dict[str, float]:
        return {"accuracy": self._right / self._all if self._all else math.nan}


class _Labels(Metric):
    """Counts how often each label was right, told and true."""

    def __init__(self) -> None:
        self._right: Counter[int] = Counter()
        self._told: Counter[int] = Counter()
        self._true: Counter[int] = Counter()

    def add(self, predictions: Any, references: Any) -> None:
        given, true = labels_of(predictions, references)
        self._right.update(true[given == true].tolist())
        self._told.update(given.tolist())
        self._true.update(true.tolist())


class F1(_Labels):
    """The harmonic mean of precision and recall, and these two.

    Args:
        average: "binary" (of ``positive`` alone), "micro" (of all labels' counts together), "macro" (the mean over the
            labels that were told or true), "weighted" (the mean by how often each label is true).
        positive: the label that "binary" is about.

    Raises:
        InputError: the average is unknown.
    """

    def __init__(self, average: str = "binary", positive: int = 1) -> None:
        super().__init__()
        if average not in AVERAGES:
            known = ", ".join(AVERAGES)
            raise InputError(f"average={average!r} is unknown.{did_you_mean(average, AVERAGES)} Use one of {known}.")
        self.average, self.positive = average, positive

    def value(self) -> dict[str, float]:
        total = self._true.total()
        if not total:
            return dict.fromkeys(("precision", "recall", "f1"), math.nan)
        labels = sorted(self._told.keys() | self._true.keys())
        match self.average:
            case "binary":
                found = self._of(self.positive)
            case "micro":
                found = _scores(self._right.total(), self._told.total(), total)
            case _:
                by_label = [self._of(label) for label in labels]
                even = self.average == "macro"
                weights = [1 / len(labels) if even else self._true[label] / total for label in labels]
                columns = zip(*by_label, strict=True)
                found = tuple(sum(w * x for w, x in zip(weights, column, strict=True)) for column in columns)
        return dict(zip(("precision", "recall", "f1"), found, strict=True))

    def _of(self, label: int) -> tuple[float, ...]:
        return _scores(self._right[label], self._told[label], self._true[label])


def _scores(right: int, told: int, true: int) -> tuple[float, ...]:
    """Precision, recall and F1, each 0 where there is nothing to divide by."""
    return share(right, told), share(right, true), share(2 * right, told + true)


class MatthewsCorrelation(_Labels):
    """Matthews' correlation of any number of labels (Gorodkin 2004, doi:10.1016/j.compbiolchem.2004.09.006)."""

    def value(self) -> dict[str, float]:
        total = self._true.total()
        if not total:
            return {"matthews_correlation": math.nan}
        together = sum(self._told[label] * count for label, count in self._true.items())
        told = total**2 - sum(count**2 for count in self._told.values())
        true = total**2 - sum(count**2 for count in self._true.values())
        covariance = self._right.total() * total - together
        return {"matthews_correlation": share(covariance, math.sqrt(told * true))}


def accuracy(predictions: Any, references: Any) -> float:
    """``Accuracy`` of one batch."""
    return Accuracy().of(predictions, references)["accuracy"]


def f1(predictions: Any, references: Any, average: str = "binary", positive: int = 1) -> float:
    """``F1`` of one batch."""
    return F1(average, positive).of(predictions, references)["f1"]


def matthews(predictions: Any, references: Any) -> float:
    """``MatthewsCorrelation`` of one batch."""
    return MatthewsCorrelation().of(predictions, references)["matthews_correlation"]
