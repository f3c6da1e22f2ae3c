"""What all metrics have in common, and how labels and numbers come in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.errors import InputError

IGNORED = -100


class Metric(ABC):
    """Counts over batches."""

    @abstractmethod
    def add(self, predictions: Any, references: Any) -> None:
        """Count a batch; raises ``InputError`` where the two do not fit each other."""

    @abstractmethod
    def value(self) -> dict[str, float]:
        """The numbers over all that was added, by name; not a number where that is nothing."""

    def of(self, predictions: Any, references: Any) -> dict[str, float]:
        """``value`` once this batch is counted."""
        self.add(predictions, references)
        return self.value()


class Joint(Metric):
    """Several metrics as one, with the numbers of all of them."""

    def __init__(self, *metrics: Metric) -> None:
        self.metrics = metrics

    def add(self, predictions: Any, references: Any) -> None:
        for metric in self.metrics:
            metric.add(predictions, references)

    def value(self) -> dict[str, float]:
        return {name: value for metric in self.metrics for name, value in metric.value().items()}


def as_array(values: Any) -> NDArray[Any]:
    """Lists, arrays and tensors on any device as an array."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
    return np.asarray(values)


def labels_of(predictions: Any, references: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Predicted and true labels, one axis each; places where the reference is -100 are left out.

    Args:
        predictions: labels in the shape of ``references``, or scores with one axis more, the highest of which counts.

    Raises:
        InputError: the shapes do not fit, or the references are no whole numbers.
    """
    given, true = as_array(predictions), as_array(references)
    if given.ndim == true.ndim + 1:
        given = given.argmax(-1)
    if given.shape != true.shape or (true.size and true.dtype.kind not in "iub"):
        raise InputError(
            f"Predictions of shape {list(given.shape)} do not fit references of shape {list(true.shape)}, which "
            "must be whole numbers."
        )
    counted = true != IGNORED
    return given[counted].astype(np.int64), true[counted].astype(np.int64)


def numbers_of(predictions: Any, references: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predicted and true numbers, one axis each; a last axis of one is dropped. Raises ``InputError``."""
    given, true = as_array(predictions).astype(np.float64), as_array(references).astype(np.float64)
    if given.size != true.size:
        raise InputError(f"There are {given.size} predictions and {true.size} references; give one for each.")
    return given.reshape(-1), true.reshape(-1)


def paired(predictions: Sequence[Any], references: Sequence[Any]) -> zip[tuple[Any, Any]]:
    """Predictions with their references; raises ``InputError`` where there are more of one."""
    if isinstance(predictions, str) or isinstance(references, str):
        raise InputError("Predictions and references are lists of texts, not one text.")
    if len(predictions) != len(references):
        raise InputError(f"There are {len(predictions)} predictions and {len(references)} references.")
    return zip(predictions, references, strict=True)


def share(part: float, whole: float) -> float:
    """``part / whole``, 0 where there is nothing."""
    return part / whole if whole else 0.0
