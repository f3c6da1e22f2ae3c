"""Multiple choice: which of several texts goes on with a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headway.errors import InputError
from headway.training.data import Row
from headway.training.metrics import Accuracy
from headway.training.report.blocks import Block, Table
from headway.training.report.looks import Classes, Shown
from headway.training.tasks.base import Column, Evaluated, Task


class MultipleChoice(Task):
    """Rows with a text, a list of choices, and the number of the right one, from 0, or its text."""

    name = "multiple-choice"
    auto = "AutoModelForMultipleChoice"
    summary = "which of several texts goes on with a text"
    roles = (
        Column(
            "context", "the text before the choices", ("context", "question", "prompt", "sent1", "startphrase", "text")
        ),
        Column("choices", "the choices", ("choices", "endings", "options", "answers")),
        Column("label", "the right choice", ("label", "answer", "correct")),
    )

    def learn(self, rows: Sequence[Row]) -> None:
        self.count = len(self._choices(1, rows[0]))

    def _choices(self, number: int, row: Row) -> list[str]:
        found = self.of(row, "choices")
        if not isinstance(found, list) or len(found) < 2:
            name = self.columns["choices"]
            raise InputError(f"Row {number} must hold a list of choices in {name!r}; jsonl and parquet files can.")
        return [str(choice) for choice in found]

    def _label(self, number: int, row: Row, choices: Sequence[str]) -> int:
        value = self.of(row, "label")
        if str(value) in choices:
            return choices.index(str(value))
        if str(value).isdigit() and int(value) < len(choices):
            return int(value)
        raise InputError(f"Row {number}: the right choice {value!r} is none of the choices, nor the number of one.")

    def encode(self, rows: Sequence[Row], processor: Any, model: Any) -> Any:
        limit, made = self.limit(processor, model), []
        for number, (row, text) in enumerate(zip(rows, self.texts(rows, "context"), strict=True), 1):
            choices = self._choices(number, row)
            if len(choices) != self.count:
                raise InputError(f"Row {number} has {len(choices)} choices, and the first one {self.count}.")
            inputs = processor([text] * self.count, choices, truncation=True, max_length=limit)
            made.append({**inputs, "labels": self._label(number, row, choices)})
        return made

    def collator(self, processor: Any, model: Any) -> Any:
        from headway.training.collators import DataCollatorForMultipleChoice

        return DataCollatorForMultipleChoice(processor)

    def evaluated(self, rows: Sequence[Row], dataset: Any, processor: Any, model: Any) -> Evaluated:
        choices = [self._choices(number, row) for number, row in enumerate(rows, 1)]
        return Evaluated(Accuracy(), look=Choices(choices))

    def example(self) -> str:
        return '{"text": "The sky is", "choices": ["blue.", "a fish."]}'


class Choices(Classes):
    """The rows that surprised the model most, with the texts of the right choice and the one it made."""

    def __init__(self, choices: Sequence[Sequence[str]]) -> None:
        super().__init__([f"choice {number}" for number in range(len(choices[0]))])
        self.choices = choices

    def blocks(self, shown: Shown) -> list[Block]:
        rows = [
            (shown(at), self.choices[at][self.true[at]], self.choices[at][self.said[at]], self.losses[at])
            for at in self.worst()
        ]
        return [Table("Worst examples", ("text", "true", "predicted", "loss"), rows, "The rows with the highest loss.")]
