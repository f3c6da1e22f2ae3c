"""Question answering: the part of a context that answers a question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headway.errors import InputError
from headway.training.data import Row
from headway.training.metrics import Squad
from headway.training.metrics.base import as_array
from headway.training.report.blocks import Block, Table, Told
from headway.training.report.looks import WORST, Look, Shown
from headway.training.state import EvalPrediction
from headway.training.tasks.base import Column, Evaluated, Options, Task, option

# Tokens of an answer at most.
LONGEST = 30


@dataclass(frozen=True, kw_only=True)
class QuestionAnsweringOptions(Options):
    """How contexts that are too long are read."""

    max_length: int = option(384, "tokens of question and window together", int)
    stride: int = option(128, "tokens that windows of a long context share", int)


@dataclass(frozen=True)
class Answer:
    """A right answer, and the character of the context where it starts; empty where there is none."""

    text: str
    start: int


class QuestionAnswering(Task):
    """Rows as SQuAD has them: question, context, and answers with the character of the context where each starts.

    A context that is too long is read in windows; where a window holds no answer, its first token is to be told.
    """

    name = "question-answering"
    auto = "AutoModelForQuestionAnswering"
    summary = "the part of a context that answers a question"
    roles = (
        Column("question", "the question", ("question",)),
        Column("context", "the text to answer from", ("context", "passage", "paragraph")),
        Column("answers", "the answers", ("answers", "answer")),
    )
    Options = QuestionAnsweringOptions

    def processor(self, checkpoint: str) -> Any:
        from headway.auto.tokenizer import AutoTokenizer

        # Positions of answers are counted from the first token of a row.
        return AutoTokenizer.from_pretrained(checkpoint, padding_side="right")

    def answers(self, number: int, row: Row) -> list[Answer]:
        """The right answers of a row, none where there is none; raises ``InputError``."""
        given, context = self.of(row, "answers"), self.of(row, "context")
        if isinstance(given, Mapping):
            texts, starts = given.get("text") or [], given.get("answer_start") or []
            texts, starts = ([texts], [starts]) if isinstance(texts, str) else (texts, starts)
            starts = starts if len(starts) == len(texts) else [context.find(text) for text in texts]
        else:
            texts = [given] if isinstance(given, str) and given else list(given or ())
            starts = [context.find(text) for text in texts]
        found = [Answer(text, int(start)) for text, start in zip(texts, starts, strict=True)]
        for one in found:
            if one.start < 0 or context[one.start : one.start + len(one.text)] != one.text:
                raise InputError(
                    f"Row {number}: the answer {one.text!r} does not stand in the context where it should."
                )
        return found

    def encode(self, rows: Sequence[Row], processor: Any, model: Any) -> Any:
        limit = self.limit(processor, model)
        inputs = processor(
            [question.strip() for question in self.texts(rows, "question")],
            self.texts(rows, "context"),
            truncation="only_second",
            max_length=limit,
            stride=min(self.options.stride, limit // 4),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        owners, every = inputs.pop("overflow_to_sample_mapping"), inputs.pop("offset_mapping")
        answers = [self.answers(number, row) for number, row in enumerate(rows, 1)]
        made = []
        for at, owner in enumerate(owners):
            sequences = inputs.sequence_ids(at)
            offsets = [tuple(o) if s == 1 else None for o, s in zip(every[at], sequences, strict=True)]
            start, end = place_of(answers[owner], offsets)
            values = {name: inputs[name][at] for name in inputs}
            made.append({**values, "start_positions": start, "end_positions": end, "row": owner, "offsets": offsets})
        return made

    def evaluated(self, rows: Sequence[Row], dataset: Any, processor: Any, model: Any) -> Evaluated:
        gold = [[answer.text for answer in self.answers(number, row)] for number, row in enumerate(rows, 1)]
        contexts = self.texts(rows, "context")
        questions = self.texts(rows, "question")
        reader = Reader(dataset, contexts, impossible=not all(gold))

        def metrics(prediction: EvalPrediction) -> dict[str, float]:
            return Squad().of(reader.read(zip(*prediction.predictions, strict=True)), gold)

        return Evaluated(metrics, look=Answers(reader, questions, gold))

    def example(self) -> str:
        return 'question="Where does Wolfgang live?", context="My name is Wolfgang and I live in Berlin."'


class Reader:
    """Makes answers of what a model says of windows: for each row the best part of its context over all windows.

    Args:
        windows: the data set, with the ``row`` and the ``offsets`` of each window.
        contexts: of all rows.
        impossible: may there be no answer?
    """

    def __init__(self, windows: Sequence[Row], contexts: Sequence[str], impossible: bool) -> None:
        self.windows, self.contexts, self.impossible = windows, contexts, impossible

    def read(self, logits: Iterable[tuple[Any, Any]]) -> list[str]:
        """The answers of all rows, of the logits of starts and ends of all windows."""
        best: list[tuple[float, str]] = [(-np.inf, "")] * len(self.contexts)
        nothing = [np.inf] * len(self.contexts)
        for window, (starts, ends) in zip(self.windows, logits, strict=True):
            row, (score, text) = window["row"], self._best(window, starts, ends)
            nothing[row] = min(nothing[row], float(starts[0] + ends[0]))
            best[row] = max(best[row], (score, text), key=lambda one: one[0])
        return [
            "" if self.impossible and none > score else text for (score, text), none in zip(best, nothing, strict=True)
        ]

    def _best(self, window: Row, starts: Any, ends: Any) -> tuple[float, str]:
        places = [at for at, offset in enumerate(window["offsets"]) if offset is not None]
        if not places:
            return -np.inf, ""
        sums = np.asarray(starts)[places][:, None] + np.asarray(ends)[places][None, :]
        sums = np.where(
            np.triu(np.ones_like(sums, dtype=bool)) & ~np.triu(np.ones_like(sums, dtype=bool), LONGEST), sums, -np.inf
        )
        first, last = np.unravel_index(int(sums.argmax()), sums.shape)
        start, end = window["offsets"][places[first]][0], window["offsets"][places[last]][1]
        return float(sums[first, last]), self.contexts[window["row"]][start:end].strip()


class Answers(Look):
    """Questions with the answers that were given, the worst first."""

    def __init__(self, reader: Reader, questions: Sequence[str], gold: Sequence[Sequence[str]]) -> None:
        self.reader, self.questions, self.gold = reader, questions, gold
        self.logits: list[tuple[Any, Any]] = []

    def take(self, predictions: Any, labels: Any) -> None:
        self.logits += zip(as_array(predictions[0]), as_array(predictions[1]), strict=True)

    def blocks(self, shown: Shown) -> list[Block]:
        given = self.reader.read(self.logits)
        scores = [Squad().of([text], [gold])["f1"] for text, gold in zip(given, self.gold, strict=True)]
        order = sorted(range(len(scores)), key=scores.__getitem__)[:WORST]
        rows = [
            (
                self.questions[at],
                Told(given[at] or "(none)", scores[at] == 100),
                " / ".join(dict.fromkeys(self.gold[at])) or "(none)",
                scores[at],
            )
            for at in order
        ]
        note = "Those with the least F1 come first."
        return [Table("Answers", ("question", "answer", "right", "F1"), rows, note)]


def place_of(answers: Sequence[Answer], offsets: Sequence[tuple[int, int] | None]) -> tuple[int, int]:
    """The first and last token of the first answer within a window; the window's first token where it is not there."""
    if not answers:
        return 0, 0
    start, end = answers[0].start, answers[0].start + len(answers[0].text)
    inside = [at for at, offset in enumerate(offsets) if offset and offset[0] < end and offset[1] > start]
    whole = inside and offsets[inside[0]][0] <= start and offsets[inside[-1]][1] >= end  # type: ignore[index]
    return (inside[0], inside[-1]) if whole else (0, 0)
