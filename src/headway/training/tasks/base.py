"""``Task``: what all tasks have in common, and the columns that they read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from headway.errors import InputError, did_you_mean
from headway.pipelines.text import positions
from headway.training.data import Row
from headway.training.report.blocks import Block
from headway.training.report.looks import Look

TASKS: dict[str, type[Task]] = {}


@dataclass(frozen=True)
class Column:
    """What a task reads of a row, and what files call it where the user does not say."""

    role: str
    help: str
    guesses: tuple[str, ...]
    needed: bool = True


def option(default: Any, help: str, kind: type) -> Any:
    """A field of a task's options, as the command line shows it."""
    return field(default=default, metadata={"help": help, "kind": kind})


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be set of a task; those of all that read texts."""

    max_length: int = option(512, "tokens of a text at most; the rest is cut", int)


@dataclass
class Evaluated:
    """What a task measures and shows.

    Attributes:
        metrics: ``compute_metrics`` of the trainer.
        reduce: ``preprocess_logits_for_metrics`` of the trainer.
        look: what the report shows of the last evaluation.
    """

    metrics: Any = None
    reduce: Callable[[Any, Any], Any] | None = None
    look: Look | None = None


class Task:
    """How to train for a task. An instance knows the columns and labels of one data set.

    A subclass with a ``name`` is entered in the table of tasks.

    Args:
        columns: the names of the file's columns, by role.
        options: of the task.
        rows: those to train on, which tell what labels there are.

    Attributes:
        name: of the task, its pipeline and its tag on the hub; ``aliases`` are others.
        auto: the Auto class that loads its models.
        summary: what is learnt, in one line.
        columns: what is read of a row.
        Options: what can be set.
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    auto: ClassVar[str]
    summary: ClassVar[str]
    roles: ClassVar[tuple[Column, ...]]
    Options: ClassVar[type[Options]] = Options

    def __init_subclass__(cls) -> None:
        if "name" in cls.__dict__:
            TASKS[cls.name] = cls

    def __init__(self, columns: Mapping[str, str], options: Any, rows: Sequence[Row]) -> None:
        self.columns, self.options = columns, options
        self.learn(rows)

    # --- what tasks say ----------------------------------------------------------------------------------------------

    def learn(self, rows: Sequence[Row]) -> None:
        """Find out what the rows tell: which labels there are."""

    def settings(self, config: Any) -> dict[str, Any]:
        """Arguments of ``from_pretrained`` for the model, of the config that the checkpoint has."""
        return {}

    def processor(self, checkpoint: str) -> Any:
        """The tokenizer (or image processor) of the checkpoint."""
        from headway.auto.tokenizer import AutoTokenizer

        return AutoTokenizer.from_pretrained(checkpoint)

    def encode(self, rows: Sequence[Row], processor: Any, model: Any) -> Any:
        """The data set that is made of ``rows``."""
        raise TypeError(f"{type(self).__name__} does not say how it encodes; define encode.")

    def collator(self, processor: Any, model: Any) -> Any:
        """What makes batches."""
        from headway.training.collators import DataCollatorWithPadding

        return DataCollatorWithPadding(processor)

    def evaluated(self, rows: Sequence[Row], dataset: Any, processor: Any, model: Any) -> Evaluated:
        """What to measure and to show of an evaluation on ``rows``, which became ``dataset``."""
        return Evaluated()

    def further(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Metrics that follow from others."""
        return {}

    def after(self, rows: Sequence[Row], processor: Any, model: Any) -> tuple[dict[str, float], list[Block]]:
        """Metrics and blocks that take a look of their own at the trained model."""
        return {}, []

    def shown(self, row: Row, processor: Any) -> Any:
        """A row of the file in the report: a text, or words."""
        text = self.of(row, self.roles[0].role)
        pair = self.of(row, "text_pair")
        return text if pair is None else f"{text} ⏎ {pair}"

    def facts(self) -> dict[str, Any]:
        """What to say of the data."""
        return {}

    def usage(self, folder: str) -> str:
        """Python that runs the trained model."""
        return (
            f"from headway import pipeline\n\nrun = pipeline({self.name!r}, {folder!r})\nprint(run({self.example()}))"
        )

    def example(self) -> str:
        """Arguments of the call in ``usage``, as Python."""
        return '"A text."'

    # --- what they share ---------------------------------------------------------------------------------------------

    def of(self, row: Row, role: str) -> Any:
        """What ``row`` holds for ``role``; None where the file has no such column."""
        name = self.columns.get(role)
        return None if name is None else row.get(name)

    def texts(self, rows: Sequence[Row], role: str) -> list[str]:
        """The texts of a column; raises ``InputError`` where there is none."""
        name = self.columns[role]
        found = [row.get(name) for row in rows]
        for number, value in enumerate(found, 1):
            if not isinstance(value, str):
                raise InputError(f"Row {number} holds {value!r} in the column {name!r}, which must be a text.")
        return found  # type: ignore[return-value]

    def limit(self, tokenizer: Any, model: Any) -> int:
        """How many tokens a row may have."""
        known = [self.options.max_length, tokenizer.model_max_length, positions(model)]
        return min(int(number) for number in known if number is not None)


def find_columns(kind: type[Task], rows: Sequence[Row], given: Mapping[str, str], source: str) -> dict[str, str]:
    """The names of the columns by role: those that are given, else those that files usually have.

    Raises:
        InputError: a column is not there, or cannot be guessed.
    """
    names = list(dict.fromkeys(name for row in rows[:100] for name in row))
    found: dict[str, str] = {}
    for role, name in given.items():
        if name not in names:
            raise InputError(f"{source} has no column {name!r}.{did_you_mean(name, names)} It has {', '.join(names)}.")
        found[role] = name
    by_lower = {name.lower(): name for name in reversed(names)}
    for column in kind.roles:
        if column.role in found:
            continue
        free = (by_lower[guess] for guess in column.guesses if by_lower.get(guess, "") not in ("", *found.values()))
        guess = next(free, None)
        if guess is not None:
            found[column.role] = guess
        elif column.needed:
            raise InputError(
                f"Which column of {source} holds {column.help}? It has {', '.join(names)}; say so with "
                f"{column.role}_column (--{column.role.replace('_', '-')}-column)."
            )
    return found
