"""``TrainJob``: a training from files to a model with its card and report, as ``headway train`` runs it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from headway.auto.config import AutoConfig
from headway.errors import ConfigError, InputError, did_you_mean
from headway.io.atomic import write_file
from headway.training.adapting import Adapting, write_labels
from headway.training.arguments import TrainingArguments
from headway.training.card import ModelCard, license_of
from headway.training.checks import ALIASES, ELSEWHERE
from headway.training.data import Row, held_out, read_rows
from headway.training.randomness import set_seed
from headway.training.report import TrainReport
from headway.training.report.facts import chosen_arguments, rows_of, without_speed
from headway.training.settings import ARGUMENTS, DEFAULTS, SHORT, fitting, read_settings
from headway.training.tasks import find_task
from headway.training.tasks.base import Evaluated, Task, find_columns
from headway.training.trainer import Trainer

logger = logging.getLogger("headway")

OWN = ("task", "model", "train", "eval", "eval_share")


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """What to train: a task, a checkpoint, data and arguments.

    ``TrainJob.of(task=..., model=..., train=..., text_column=..., learning_rate=...)`` sorts flat settings into these,
    ``TrainJob.read`` takes them from a YAML or JSON file, and ``run`` does it all.

    Attributes:
        task: its name, one of ``headway.training.tasks``.
        model: a folder, or a hub id.
        train, eval: files, see ``read_rows``; without ``eval`` the share ``eval_share`` of ``train`` is held out.
        columns: the names of columns by role, where they are not to be guessed.
        options: of the task.
        arguments: of ``TrainingArguments``.
        adapting: the adapter to train in place of the model.
    """

    task: str
    model: str
    train: str
    eval: str | None = None
    eval_share: float = 0.1
    columns: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    adapting: Adapting = field(default_factory=Adapting)

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """A job of flat settings; raises ``ConfigError`` where one is unknown or missing."""
        missing = [name for name in ("task", "model", "train") if settings.get(name) is None]
        if missing:
            raise ConfigError(f"A training needs {' and '.join(missing)}, which nothing says.")
        kind = find_task(str(settings["task"]))
        columns = {f"{role.role}_column": role.role for role in kind.roles}
        options = {one.name: str(one.type) for one in fields(kind.Options)}
        adapting = {one.name: str(one.type) for one in fields(Adapting)}
        known = [*OWN, *columns, *options, *adapting, *ARGUMENTS, *SHORT]
        own: dict[str, Any] = {}
        adapter: dict[str, Any] = {}
        found: dict[str, Any] = {"columns": {}, "options": {}, "arguments": {}}
        for name, value in settings.items():
            if name in OWN:
                own[name] = value
            elif name in columns:
                found["columns"][columns[name]] = str(value)
            elif name in options:
                found["options"][name] = fitting(value, options[name])
            elif name in adapting:
                adapter[name] = fitting(value, adapting[name])
            elif name in ARGUMENTS or name in SHORT or name in ELSEWHERE or name in ALIASES:
                full = SHORT.get(name, name)
                if full in found["arguments"]:
                    raise ConfigError(f"{name} and {full} are the same; say one of them.")
                found["arguments"][full] = fitting(value, ARGUMENTS.get(full, "str"))
            else:
                raise ConfigError(f"{kind.name} knows no setting {name!r}.{did_you_mean(name, known)}")
        return cls(**own, **found, adapting=Adapting(**adapter))

    @classmethod
    def read(cls, path: str | Path, **settings: Any) -> Self:
        """A job of a YAML or JSON file with flat settings, and of ``settings`` in place of those."""
        return cls.of(**{**read_settings(path), **settings})

    def run(self, resume: bool | str = False) -> Trained:
        """``prepare`` and train; ``resume`` goes on from the newest checkpoint, where there is one."""
        return self.prepare().run(resume)

    def prepare(self) -> Prepared:
        """Read the data and load the model; raises ``HeadwayError`` where something is wrong with them."""
        kind = find_task(self.task)
        args = TrainingArguments(**self._arguments())
        notes: list[str] = []
        every = train = read_rows(self.train)
        if self.eval is None:
            train, rows = held_out(every, self.eval_share, args.seed)
            notes.append(f"{len(rows)} of {len(every)} rows of {self.train} are held out for evaluation.")
        else:
            rows = read_rows(self.eval)
        columns = find_columns(kind, every, self.columns, self.train)
        missing = [name for name in columns.values() if name not in rows[0]]
        if missing:
            raise InputError(f"{self.eval} has no column {missing[0]!r}, which {self.train} has.")
        task = kind(columns, kind.Options(**self.options), every)
        notes.append("Columns: " + ", ".join(f"{role} from {name!r}" for role, name in columns.items()) + ".")
        set_seed(args.seed)  # a new head is drawn
        import headway

        settings = task.settings(AutoConfig.from_pretrained(self.model))
        model = getattr(headway, kind.auto).from_pretrained(self.model, **settings, **self.adapting.loading)
        self.adapting.put_on(model)
        processor = task.processor(self.model)
        datasets = [task.encode(part, processor, model) for part in (train, rows)]
        evaluated = task.evaluated(rows, datasets[1], processor, model)
        trainer = Trainer(
            model,
            args,
            data_collator=task.collator(processor, model),
            train_dataset=datasets[0],
            eval_dataset=datasets[1],
            processing_class=processor,
            compute_metrics=evaluated.metrics,
            preprocess_logits_for_metrics=evaluated.reduce,
        )
        return Prepared(self, task, trainer, rows, evaluated, tuple(notes))

    def _arguments(self) -> dict[str, Any]:
        given = {**DEFAULTS, **self.arguments}
        given["output_dir"] = str(given.get("output_dir") or f"{Path(self.model).name}-{self.task}")
        return {"logging_dir": given["output_dir"], **given}


@dataclass(frozen=True)
class Prepared:
    """A job whose data and model are there; ``notes`` say what was chosen."""

    job: TrainJob
    task: Task
    trainer: Trainer
    rows: list[Row]
    evaluated: Evaluated
    notes: tuple[str, ...]

    def run(self, resume: bool | str = False) -> Trained:
        """Train, evaluate, and write the model with its card and report."""
        for note in self.notes:
            logger.info(note)
        trainer = self.trainer
        trained = trainer.train(resume_from_checkpoint="auto" if resume is True else resume or None)
        report = self.report()
        metrics = {"train_loss": trained.training_loss, **report.metrics}
        folder = Path(str(trainer.args.output_dir))
        trainer.save_model()
        trainer.save_state()
        found = Trained(folder, metrics, report, self.card(report), trainer)
        if trainer.args.should_save:
            found.card.save(folder)
            report.save(found.report_path)
            if self.job.adapting.lora is not None:
                write_labels(trainer.model, folder)
            write_file(folder / "results.json", (json.dumps(metrics, indent=2, sort_keys=True) + "\n").encode())
        return found

    def report(self) -> TrainReport:
        """The training as it stands, as a page."""
        trainer, task = self.trainer, self.task
        processor = trainer.processing_class
        further, blocks = task.after(self.rows, processor, trainer.model)
        report = TrainReport.of(
            trainer,
            self.evaluated.look,
            lambda row: task.shown(self.rows[row], processor),
            Path(str(trainer.args.output_dir)).name,
            self.facts(),
            blocks,
        )
        metrics = {**report.metrics, **further}
        lead = f"{Path(self.job.model).name}, trained for {task.name}. {report.lead}"
        return replace(report, lead=lead, metrics={**metrics, **task.further(metrics)})

    def facts(self) -> dict[str, Any]:
        """What the training read."""
        job, trainer = self.job, self.trainer
        held = f"{job.train}, held out" if job.eval is None else job.eval
        return {
            "trained on": f"{job.train} ({rows_of(trainer.train_dataset)})",
            "evaluated on": f"{held} ({rows_of(trainer.eval_dataset)})",
            **{f"column of {role}": name for role, name in self.task.columns.items()},
            **self.task.facts(),
            **self.job.adapting.facts,
        }

    def card(self, report: TrainReport) -> ModelCard:
        """The model's card."""
        job, task, folder = self.job, self.task, str(self.trainer.args.output_dir)
        held = "held out of the data" if job.eval is None else f"those of {Path(job.eval).name}"
        return ModelCard(
            name=Path(folder).name,
            lead=f"{Path(job.model).name}, trained for {task.name}: {task.summary}.",
            task=task.name,
            base_model=job.model if not Path(job.model).exists() else None,
            license=license_of(job.model),
            tags=("headway", str(self.trainer.model.config.model_type)),
            data=report.facts,
            dataset=Path(job.eval or job.train).stem,
            metrics={name: float(value) for name, value in without_speed(report.metrics).items()},
            arguments=chosen_arguments(self.trainer.args),
            usage=task.usage(folder),
            limits=f"The numbers were measured on {len(self.rows)} rows, {held}; on other data it may do worse. "
            "report.html shows what it gets wrong.",
        )


@dataclass(frozen=True)
class Trained:
    """What came of a job: ``folder`` holds the model, README.md, report.html, log.jsonl and the checkpoints."""

    folder: Path
    metrics: dict[str, float]
    report: TrainReport
    card: ModelCard
    trainer: Trainer

    @property
    def report_path(self) -> Path:
        """The page."""
        return self.folder / "report.html"

    @property
    def card_path(self) -> Path:
        """The card."""
        return self.folder / "README.md"
