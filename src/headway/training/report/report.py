"""``TrainReport``: a training, finished or under way, as one page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headway.errors import CheckpointError
from headway.io.atomic import write_file
from headway.training.evaluation import evaluate, sink_for
from headway.training.report.blocks import Block, Facts, Table, cell
from headway.training.report.chart import Line, chart, number
from headway.training.report.facts import chosen_arguments, duration, model_facts, rows_of, without_speed
from headway.training.report.looks import Classes, Look, Looking, Numbers, Shown
from headway.training.report.page import fragment, page

if TYPE_CHECKING:
    from headway.training.trainer import Trainer

History = Sequence[Mapping[str, Any]]
_CHARTS = (
    ("Learning rate", "learning_rate"),
    ("Norm of the gradients", "grad_norm"),
    ("Rows per second", "samples_per_second"),
)


@dataclass(frozen=True)
class TrainReport:
    """A training as a page: curves, evaluations, and what the model gets wrong.

    A notebook shows it; ``save`` writes a page that needs nothing else. ``TrainReport.of(trainer)`` makes one.

    Attributes:
        title: what was trained.
        lead: a line below it.
        metrics: of the last evaluation, with ``eval_`` before their names.
        facts: of the model and the data.
        arguments: those that differ from the defaults.
        history: ``log_history`` of the trainer's state.
        blocks: what is shown of the evaluation.
    """

    title: str
    lead: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    history: History = ()
    blocks: Sequence[Block] = ()

    @classmethod
    def of(
        cls,
        trainer: Trainer,
        look: Look | None = None,
        shown: Shown | None = None,
        title: str | None = None,
        facts: Mapping[str, Any] | None = None,
        more: Iterable[Block] = (),
    ) -> TrainReport:
        """Go through the trainer's ``eval_dataset``, where it has one, and report.

        Args:
            trainer: before, within or after ``train``.
            look: what to look at; by the model's head where it is not given.
            shown: the text of a row of ``eval_dataset``, by its number; its tokens in writing by default.
            title: in place of the model's class.
            facts: more to say of model and data.
            more: blocks that stand before those of the look.
        """
        state, dataset = trainer.state, trainer.eval_dataset
        blocks, metrics = list(more), last_evaluation(state.log_history)
        if dataset is not None and not isinstance(dataset, dict):
            look = look or look_for(trainer)
            sink = sink_for(trainer, keep=False, loss_only=trainer.args.prediction_loss_only)
            seen = sink if look is None else Looking(sink, look)
            metrics = dict(evaluate(trainer, trainer.get_eval_dataloader(), seen, "eval", None).metrics or {})
            if look is not None:
                blocks += look.blocks(shown or written(trainer))
        data = {"trained on": rows_of(trainer.train_dataset), "evaluated on": rows_of(dataset)}
        about = model_facts(trainer.model) | {name: value for name, value in data.items() if value} | dict(facts or {})
        return cls(
            title or type(trainer.model).__name__,
            progress(state.global_step, state.max_steps, state.epoch, state.log_history),
            metrics,
            about,
            chosen_arguments(trainer.args),
            list(state.log_history),
            blocks,
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page; raises ``CheckpointError`` where that cannot be."""
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, page(self.title, self._body()).encode())
        except OSError as error:
            raise CheckpointError(f"{path} cannot be written: {error.strerror or error}.") from error
        return path

    def _repr_html_(self) -> str:
        return fragment(self._body())

    # --- its parts ---------------------------------------------------------------------------------------------------

    def _body(self) -> str:
        head = f'<header><h1>{escape(self.title)}</h1><p class="hw-lead">{escape(self.lead)}</p></header>'
        parts = [section("", self._numbers()), section("Training", self._curves())]
        parts += [section("Evaluations", evaluations(self.history))]
        parts += [section(block.title, block.html(), block.narrow) for block in self.blocks]
        about = (Facts("Model and data", self.facts), Facts("Arguments", self.arguments))
        parts += [section(block.title, block.html()) for block in about if block.facts]
        return f"{head}<main>{''.join(parts)}</main><footer>Made by headway.</footer>"

    def _numbers(self) -> str:
        shown = {name: value for name, value in without_speed(self.metrics).items() if isinstance(value, int | float)}
        if not shown:
            return ""
        items = "".join(f"<div><dt>{escape(name)}</dt><dd>{cell(value)}</dd></div>" for name, value in shown.items())
        return f'<dl class="hw-numbers">{items}</dl>'

    def _curves(self) -> str:
        losses = [
            Line("training", points(self.history, "loss")),
            Line("evaluation", points(self.history, "eval_loss"), True),
        ]
        figures = [chart("Loss", losses)]
        figures += [chart(title, [Line(title, points(self.history, name))]) for title, name in _CHARTS]
        drawn = "".join(figures)
        return f'<div class="hw-charts">{drawn}</div>' if drawn else ""


def section(title: str, content: str, narrow: bool = False) -> str:
    """A part of the page under its heading, the empty text where it has no content."""
    heading = f"<h2>{escape(title)}</h2>" if title else ""
    kind = ' class="hw-narrow"' if narrow else ""
    return f"<section{kind}>{heading}{content}</section>" if content else ""


def points(history: History, name: str) -> list[tuple[float, float]]:
    """The values of ``name`` by step."""
    return [(float(entry["step"]), float(entry[name])) for entry in history if isinstance(entry.get(name), int | float)]


def evaluations(history: History) -> str:
    """A table of all evaluations, the empty text where there is none."""
    rows = [entry for entry in history if any(name.startswith("eval_") for name in entry)]
    names = list(dict.fromkeys(name for entry in rows for name in without_speed(entry)))
    if not rows:
        return ""
    cells = [
        (
            int(entry["step"]),
            float(entry.get("epoch", 0.0)),
            *(float(without_speed(entry).get(n, "nan")) for n in names),
        )
        for entry in rows
    ]
    return Table("Evaluations", ("step", "epoch", *names), cells).html()


def last_evaluation(history: History) -> dict[str, float]:
    """The metrics of the newest evaluation."""
    found = (entry for entry in reversed(history) if any(name.startswith("eval_") for name in entry))
    return {name: value for name, value in next(found, {}).items() if name.startswith("eval_")}


def progress(step: int, steps: int, epochs: float, history: History) -> str:
    """How far a training is."""
    if not steps:
        return "Not trained yet."
    took = next((entry["train_runtime"] for entry in reversed(history) if "train_runtime" in entry), None)
    far = f"{step:,} steps" if step >= steps or took is not None else f"{step:,} of {steps:,} steps so far"
    return f"{far}, {number(round(epochs, 2))} epochs{'' if took is None else f', in {duration(took)}'}."


def look_for(trainer: Trainer) -> Look | None:
    """What there is to see of the model's head, where that can be told from its config."""
    config = getattr(trainer.model, "config", None)
    task = getattr(trainer.model, "task", None)
    if trainer.preprocess_logits_for_metrics is not None or config is None:
        return None
    if task not in ("sequence-classification", "image-classification"):
        return None
    if config.num_labels == 1 or config.problem_type == "regression":
        return Numbers()
    single = config.problem_type in (None, "single_label_classification")
    return Classes([config.label(number) for number in range(config.num_labels)]) if single else None


def written(trainer: Trainer) -> Shown:
    """Rows of the data set in writing, by the tokenizer."""

    def shown(row: int) -> str:
        ids = trainer.eval_dataset[row].get("input_ids")
        tokenizer = trainer.processing_class
        if ids is None or not hasattr(tokenizer, "decode"):
            return f"row {row}"
        return str(tokenizer.decode(ids, skip_special_tokens=True))

    return shown
