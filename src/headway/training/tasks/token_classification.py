"""Token classification: a tag for each word, such as names of people and places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headway.errors import InputError
from headway.heads.losses import IGNORED
from headway.training.data import Row
from headway.training.metrics import EntityF1
from headway.training.report.looks import Tags
from headway.training.tasks.base import Column, Evaluated, Task
from headway.training.tasks.labels import label_names, label_settings, names_of, numbered, numbers_by_name


class TokenClassification(Task):
    """Rows with a list of words and a list of as many tags; the first token of a word carries its tag."""

    name = "token-classification"
    aliases = ("ner",)
    auto = "AutoModelForTokenClassification"
    summary = "a tag for each word, such as names of people and places"
    roles = (
        Column("tokens", "the words", ("tokens", "words")),
        Column("tags", "the tags", ("ner_tags", "tags", "labels", "pos_tags")),
    )

    def learn(self, rows: Sequence[Row]) -> None:
        self._check(rows)
        self.names = names_of(tag for row in rows for tag in self.of(row, "tags"))
        # What is no entity comes first.
        self.names.sort(key=lambda name: name != "O")

    def _check(self, rows: Sequence[Row]) -> None:
        for number, row in enumerate(rows, 1):
            words, tags = self.of(row, "tokens"), self.of(row, "tags")
            if not isinstance(words, list) or not isinstance(tags, list) or len(words) != len(tags):
                raise InputError(
                    f"Row {number} must hold a list of words in {self.columns['tokens']!r} and a list of as many tags "
                    f"in {self.columns['tags']!r}; jsonl and parquet files can."
                )

    def settings(self, config: Any) -> dict[str, Any]:
        return label_settings(self.names, config)

    def encode(self, rows: Sequence[Row], processor: Any, model: Any) -> Any:
        self._check(rows)
        known = numbers_by_name(model.config)
        words = [[str(word) for word in self.of(row, "tokens")] for row in rows]
        inputs = processor(words, is_split_into_words=True, truncation=True, max_length=self.limit(processor, model))
        made = []
        for at, row in enumerate(rows):
            tags, numbers = numbered(self.of(row, "tags"), known), inputs.word_ids(at)
            before = [None, *numbers[:-1]]
            labels = [
                IGNORED if word is None or word == last else tags[word]
                for word, last in zip(numbers, before, strict=True)
            ]
            made.append({**{name: inputs[name][at] for name in inputs}, "labels": labels})
        return made

    def collator(self, processor: Any, model: Any) -> Any:
        from headway.training.collators import DataCollatorForTokenClassification

        return DataCollatorForTokenClassification(processor)

    def evaluated(self, rows: Sequence[Row], dataset: Any, processor: Any, model: Any) -> Evaluated:
        names = dict(enumerate(label_names(model.config)))
        return Evaluated(EntityF1(names), look=Tags(names))

    def shown(self, row: Row, processor: Any) -> Any:
        return self.of(row, "tokens")

    def facts(self) -> dict[str, Any]:
        return {"tags": f"{len(self.names)}: {', '.join(self.names[:20])}{', …' if len(self.names) > 20 else ''}"}

    def example(self) -> str:
        return '"My name is Wolfgang and I live in Berlin."'
