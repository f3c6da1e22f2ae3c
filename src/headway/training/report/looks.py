"""What a report shows of an evaluation: which rows went wrong, and how; nothing of the size of logits is kept."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.training.evaluation import Prediction, Sink
from headway.training.metrics.base import IGNORED, as_array
from headway.training.metrics.entities import EntityF1
from headway.training.report.blocks import Block, Confusion, Marked, Points, Table, Told, per_class, scores

# Examples that a report shows.
WORST = 20

Array = NDArray[Any]
# The text of a row of the data set.
Shown = Callable[[int], Any]


class Look(ABC):
    """Takes the batches of an evaluation, in the order of the rows, and makes blocks of a report of them."""

    @abstractmethod
    def take(self, predictions: Any, labels: Any) -> None:
        """One more batch."""

    @abstractmethod
    def blocks(self, shown: Shown) -> list[Block]:
        """What there is to see; ``shown`` tells the text of a row."""


class Looking(Sink):
    """Lets a look see what another sink takes."""

    wants_predictions = True

    def __init__(self, sink: Sink, look: Look) -> None:
        self.sink, self.look = sink, look

    def take(self, batch: Prediction) -> None:
        if self.sink.wants_predictions:
            self.sink.take(batch)
        self.look.take(batch.predictions, batch.label_ids)

    def metrics(self) -> dict[str, float]:
        return self.sink.metrics()


class Classes(Look):
    """One class a row: a matrix of confusion, scores of each class, and the rows that surprised the model most."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.true: list[int] = []
        self.said: list[int] = []
        self.losses: list[float] = []

    def take(self, predictions: Any, labels: Any) -> None:
        logs, true = log_softmax(first(predictions)), as_array(labels)
        self.true += true.tolist()
        self.said += logs.argmax(-1).tolist()
        self.losses += (-np.take_along_axis(logs, np.maximum(true, 0)[:, None], -1)[:, 0]).tolist()

    def blocks(self, shown: Shown) -> list[Block]:
        count = len(self.names)
        counts = np.zeros((count, count), dtype=np.int64)
        known = [(true, said) for true, said in zip(self.true, self.said, strict=True) if true != IGNORED]
        np.add.at(counts, tuple(np.array(known, dtype=np.int64).reshape(-1, 2).T), 1)
        rows = [(shown(at), self.names[self.true[at]], self._told(at), self.losses[at]) for at in self.worst()]
        return [
            Confusion("Confusion", self.names, counts),
            per_class(self.names, counts),
            Table("Worst examples", ("text", "true", "predicted", "loss"), rows, "The rows with the highest loss."),
        ]

    def _told(self, at: int) -> Told:
        return Told(self.names[self.said[at]], self.said[at] == self.true[at])

    def worst(self) -> list[int]:
        """The rows with the highest loss."""
        return [at for at in worst(self.losses) if self.true[at] != IGNORED]


class Several(Look):
    """Any number of labels a row: scores of each label, and the rows that surprised the model most."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.true: list[Array] = []
        self.said: list[Array] = []
        self.losses: list[float] = []

    def take(self, predictions: Any, labels: Any) -> None:
        logits, true = as_array(first(predictions)).astype(np.float64), as_array(labels) > 0.5
        self.true += list(true)
        self.said += list(logits > 0)
        self.losses += np.logaddexp(0, np.where(true, -logits, logits)).mean(-1).tolist()

    def blocks(self, shown: Shown) -> list[Block]:
        true, said = np.array(self.true), np.array(self.said)
        both = true & said
        sums = zip(self.names, both.sum(0).tolist(), said.sum(0).tolist(), true.sum(0).tolist(), strict=True)
        classes = [(name, *scores(right, told, real), real) for name, right, told, real in sums]
        rows = [
            (shown(at), self._named(true[at]), Told(self._named(said[at]), bool((said[at] == true[at]).all())), loss)
            for at, loss in ((at, self.losses[at]) for at in worst(self.losses))
        ]
        return [
            Table("Labels", ("label", "precision", "recall", "F1", "rows"), classes, narrow=True),
            Table("Worst examples", ("text", "true", "predicted", "loss"), rows, "The rows with the highest loss."),
        ]

    def _named(self, marks: Array) -> str:
        return ", ".join(name for name, mark in zip(self.names, marks, strict=True) if mark) or "none"


class Numbers(Look):
    """A number a row: predicted over true ones, and the rows that are furthest off."""

    def __init__(self) -> None:
        self.true: list[float] = []
        self.said: list[float] = []

    def take(self, predictions: Any, labels: Any) -> None:
        self.said += as_array(first(predictions)).reshape(-1).astype(float).tolist()
        self.true += as_array(labels).reshape(-1).astype(float).tolist()

    def blocks(self, shown: Shown) -> list[Block]:
        off = [abs(a - b) for a, b in zip(self.true, self.said, strict=True)]
        rows = [(shown(at), self.true[at], self.said[at], off[at]) for at in worst(off)]
        return [
            Points("Numbers", list(zip(self.true, self.said, strict=True))),
            Table("Worst examples", ("text", "true", "predicted", "off by"), rows, "The rows that are furthest off."),
        ]


class Tags(Look):
    """A tag for each word: scores of each type of entity, and the rows with the highest loss, wrong words marked."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = names
        self.metric = EntityF1(names, by_type=True)
        self.losses: list[float] = []
        self.wrong: list[dict[int, tuple[int, int]]] = []

    def take(self, predictions: Any, labels: Any) -> None:
        logs, true = log_softmax(first(predictions)), as_array(labels)
        self.metric.add(logs, true)
        said, counted = logs.argmax(-1), true != IGNORED
        losses = np.where(counted, -np.take_along_axis(logs, np.maximum(true, 0)[..., None], -1)[..., 0], 0.0)
        self.losses += (losses.sum(-1) / np.maximum(counted.sum(-1), 1)).tolist()
        for row, other, real in zip(said, true, counted, strict=True):
            pairs = enumerate(zip(row[real].tolist(), other[real].tolist(), strict=True))
            self.wrong.append({at: (told, meant) for at, (told, meant) in pairs if told != meant})

    def blocks(self, shown: Shown) -> list[Block]:
        found = self.metric.value()
        kinds = [name.removesuffix("_f1") for name in found if name.endswith("_f1")]
        types = [(kind, *(found[f"{kind}_{score}"] for score in ("precision", "recall", "f1"))) for kind in kinds]
        rows = [(self._marked(at, shown(at)), len(self.wrong[at]), self.losses[at]) for at in worst(self.losses)]
        note = "The rows with the highest loss; behind a marked word what the model said, then what is true."
        return [
            Table("Entities", ("type", "precision", "recall", "F1"), types, narrow=True),
            Table("Worst examples", ("words", "wrong", "loss"), rows, note),
        ]

    def _marked(self, at: int, words: Any) -> Any:
        if not isinstance(words, Sequence) or isinstance(words, str):
            return words
        wrong = self.wrong[at]
        notes = [f"{self.names[told]} → {self.names[meant]}" for told, meant in wrong.values()]
        by_place = dict(zip(wrong, notes, strict=True))
        return Marked([(str(word), by_place.get(place, "")) for place, word in enumerate(words)])


class Tokens(Look):
    """Language models: the rows whose tokens were hardest to tell, of ``TokenScores``."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.counts: list[int] = []

    def take(self, predictions: Any, labels: Any) -> None:
        losses, counted = as_array(predictions[0]), as_array(predictions[1]) >= 0
        self.counts += counted.sum(-1).tolist()
        self.losses += ((losses * counted).sum(-1) / np.maximum(counted.sum(-1), 1)).tolist()

    def blocks(self, shown: Shown) -> list[Block]:
        rows = [(shown(at), self.counts[at], self.losses[at]) for at in worst(self.losses)]
        note = "The rows with the highest mean loss of a token."
        return [Table("Hardest examples", ("text", "tokens", "loss"), rows, note)]


def worst(losses: Sequence[float]) -> list[int]:
    """The rows with the highest losses; what is not a number comes first."""
    order = sorted(range(len(losses)), key=lambda at: -math.inf if math.isnan(losses[at]) else -losses[at])
    return order[:WORST]


def log_softmax(logits: Any) -> Array:
    """Logarithms of probabilities over the last axis, in float64."""
    values = as_array(logits).astype(np.float64)
    values = values - values.max(-1, keepdims=True)
    found: Array = values - np.log(np.exp(values).sum(-1, keepdims=True))
    return found


def first(predictions: Any) -> Any:
    """The logits, of a model that tells more."""
    return predictions[0] if isinstance(predictions, tuple) else predictions
