"""Text classification: a class, several labels or a number for a text or a pair of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headway.errors import InputError
from headway.training.data import Row
from headway.training.metrics import F1, Accuracy, Joint, MultiLabelF1, Pearson, Spearman
from headway.training.report.looks import Classes, Numbers, Several
from headway.training.tasks.base import Column, Evaluated, Options, Task, option
from headway.training.tasks.labels import is_number, label_names, label_settings, names_of, numbered, numbers_by_name

PROBLEMS = {
    "single": "single_label_classification",
    "multi": "multi_label_classification",
    "regression": "regression",
}


@dataclass(frozen=True, kw_only=True)
class TextClassificationOptions(Options):
    """What kind of labels there are."""

    problem: str | None = option(None, "single, multi or regression; by default as the labels look", str)
    separator: str | None = option(None, "what stands between several labels of a row, which makes them multi", str)


class TextClassification(Task):
    """Rows with a text, maybe a second one, and a label; a list of labels, or a number with decimals.

    The problem is told by the labels where ``problem`` does not: lists are any number of labels, numbers of which one
    has decimals are numbers to predict, everything else is one class.
    """

    name = "text-classification"
    aliases = ("sentiment-analysis", "sequence-classification")
    auto = "AutoModelForSequenceClassification"
    summary = "a class, several labels or a number for a text or a pair of texts"
    roles = (
        Column("text", "the text", ("text", "sentence", "sentence1", "premise", "question1", "review", "content")),
        Column("text_pair", "the second text", ("text_pair", "sentence2", "hypothesis", "question2"), needed=False),
        Column("label", "the label", ("label", "labels", "class", "category", "target", "score", "sentiment", "stars")),
    )
    Options = TextClassificationOptions

    def learn(self, rows: Sequence[Row]) -> None:
        if self.options.problem not in (None, *PROBLEMS):
            raise InputError(f"problem={self.options.problem!r} is unknown; use one of {', '.join(PROBLEMS)}.")
        values = [self.of(row, "label") for row in rows]
        self.problem = self.options.problem or self._problem(values)
        if self.problem == "multi":
            self.names = names_of(label for value in values for label in self._split(value))
        else:
            self.names = [] if self.problem == "regression" else names_of(values)
        if self.problem == "single" and len(self.names) < 2:
            raise InputError(f"All rows have the label {self.names[0]!r}; there is nothing to tell apart.")

    def _problem(self, values: Sequence[Any]) -> str:
        if self.options.separator is not None or any(isinstance(value, list) for value in values):
            return "multi"
        texts = [str(value) for value in values]
        decimals = any("." in text for text in texts) and all(is_number(text) for text in texts)
        return "regression" if decimals else "single"

    def _split(self, value: Any) -> list[str]:
        if isinstance(value, list):
            return [str(label) for label in value]
        text = "" if value is None else str(value)
        parts = text.split(self.options.separator) if self.options.separator else [text]
        return [part.strip() for part in parts if part.strip()]

    def settings(self, config: Any) -> dict[str, Any]:
        problem = {"problem_type": PROBLEMS[self.problem]}
        if self.problem == "regression":
            return {"num_labels": 1, "ignore_mismatched_sizes": True, **problem}
        return {**label_settings(self.names, config), **problem}

    def encode(self, rows: Sequence[Row], processor: Any, model: Any) -> Any:
        pairs = self.texts(rows, "text_pair") if "text_pair" in self.columns else None
        length = self.limit(processor, model)
        inputs = processor(self.texts(rows, "text"), pairs, truncation=True, max_length=length)
        labels = self._labels([self.of(row, "label") for row in rows], numbers_by_name(model.config))
        return [{**{name: inputs[name][at] for name in inputs}, "labels": label} for at, label in enumerate(labels)]

    def _labels(self, values: Sequence[Any], known: dict[str, int]) -> Sequence[Any]:
        if self.problem == "single":
            return numbered(values, known)
        if self.problem == "multi":
            rows = [set(numbered(self._split(value), known)) for value in values]
            return [[float(number in row) for number in range(len(known))] for row in rows]
        for value in values:
            if not is_number(str(value)):
                raise InputError(f"The label {value!r} is no number, and problem=regression predicts numbers.")
        return [float(value) for value in values]

    def evaluated(self, rows: Sequence[Row], dataset: Any, processor: Any, model: Any) -> Evaluated:
        names = label_names(model.config)
        match self.problem:
            case "single":
                return Evaluated(Joint(Accuracy(), F1("macro")), look=Classes(names))
            case "multi":
                return Evaluated(MultiLabelF1(), look=Several(names))
        return Evaluated(Joint(Pearson(), Spearman()), look=Numbers())

    def facts(self) -> dict[str, Any]:
        if self.problem == "regression":
            return {"labels": "numbers"}
        shown = ", ".join(self.names[:12]) + (", …" if len(self.names) > 12 else "")
        return {"labels": f"{len(self.names)}{', any number a row' if self.problem == 'multi' else ''}: {shown}"}

    def example(self) -> str:
        return '{"text": "A text.", "text_pair": "Another."}' if "text_pair" in self.columns else '"A text."'
