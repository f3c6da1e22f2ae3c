"""Metrics of labels: accuracy, F1 and Matthews' correlation."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.errors import InputError, did_you_mean
from headway.training.metrics.base import Metric, as_array, labels_of, share

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


class MultiLabelF1(Metric):
    """F1 where a row has any number of labels, and the share of rows whose labels are all right.

    ``add`` takes logits ``[rows, labels]``, of which those above 0 count as told, and labels of 0 and 1 in that shape.
    "f1" is that of all labels' counts together, "macro_f1" the mean over the labels that were told or true.
    """

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] = np.zeros((3, 0), dtype=np.int64)
        self._right = self._rows = 0

    def add(self, predictions: Any, references: Any) -> None:
        told, true = as_array(predictions) > 0, as_array(references) > 0.5
        if told.shape != true.shape or told.ndim != 2:
            raise InputError(
                f"Predictions of shape {list(told.shape)} and references of shape {list(true.shape)} must both have a "
                "column for each label."
            )
        counts = np.stack([(told & true).sum(0), told.sum(0), true.sum(0)])
        self._counts = self._counts + counts if self._counts.size else counts
        self._right += int((told == true).all(1).sum())
        self._rows += len(true)

    def value(self) -> dict[str, float]:
        if not self._rows:
            return dict.fromkeys(("precision", "recall", "f1", "macro_f1", "accuracy"), math.nan)
        found = dict(zip(("precision", "recall", "f1"), _scores(*self._counts.sum(1).tolist()), strict=True))
        each = [_scores(*counts)[2] for counts in self._counts.T.tolist() if counts[1] + counts[2]]
        return {**found, "macro_f1": share(sum(each), len(each)), "accuracy": self._right / self._rows}


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
