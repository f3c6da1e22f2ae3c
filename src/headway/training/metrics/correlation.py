"""Correlations of numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.training.metrics.base import Metric, numbers_of


class Pearson(Metric):
    """Pearson's correlation: how near pairs of numbers are to a line.

    Means and co-moments are merged batch by batch (Chan et al. 1979, STAN-CS-79-773), which loses no digits.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean = np.zeros(2)
        self._moments = np.zeros((2, 2))

    def add(self, predictions: Any, references: Any) -> None:
        pairs = np.stack(numbers_of(predictions, references))
        count = pairs.shape[1]
        if not count:
            return
        mean = pairs.mean(1)
        apart, total = mean - self._mean, self._count + count
        centred = pairs - mean[:, None]
        self._moments += centred @ centred.T + np.outer(apart, apart) * (self._count * count / total)
        self._mean += apart * (count / total)
        self._count = total

    def value(self) -> dict[str, float]:
        scale = math.sqrt(self._moments[0, 0] * self._moments[1, 1])
        return {"pearson": float(self._moments[0, 1]) / scale if scale else math.nan}


class Spearman(Metric):
    """Spearman's correlation: Pearson's of the ranks, ties sharing their mean rank.

    Ranks are known at the end only, so this one keeps its two numbers of every example.
    """

    def __init__(self) -> None:
        self._pairs: list[NDArray[np.float64]] = []

    def add(self, predictions: Any, references: Any) -> None:
        self._pairs.append(np.stack(numbers_of(predictions, references)))

    def value(self) -> dict[str, float]:
        given, true = np.concatenate([np.zeros((2, 0)), *self._pairs], 1)
        return {"spearman": pearson(_ranks(given), _ranks(true))}


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rank of each value; equal ones have the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    ranks: NDArray[np.float64] = (ends - (counts - 1) / 2)[places.reshape(-1)]
    return ranks


def pearson(predictions: Any, references: Any) -> float:
    """``Pearson`` of one batch."""
    return Pearson().of(predictions, references)["pearson"]


def spearman(predictions: Any, references: Any) -> float:
    """``Spearman`` of one batch."""
    return Spearman().of(predictions, references)["spearman"]
