"""``headway train``: a training from a file of settings, or from flags of a task."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from headway.cli.show import as_json, table
from headway.errors import InputError, did_you_mean
from headway.training.adapting import Adapting
from headway.training.arguments import TrainingArguments
from headway.training.job import TrainJob
from headway.training.report.facts import without_speed
from headway.training.settings import SHORT, read_settings
from headway.training.tasks import find_task, task_names, tasks
from headway.training.tasks.base import Task

FILES = (".yaml", ".yml", ".json")
# Arguments of TrainingArguments that --help shows, with what it says; all others are options as well.
SHOWN = {
    "num_train_epochs": "Passes over the data (default: 3).",
    "max_steps": "Steps of the training, in place of epochs.",
    "per_device_train_batch_size": "Rows of a pass (default: 8).",
    "gradient_accumulation_steps": "Passes of a step (default: 1).",
    "learning_rate": "The highest learning rate (default: 5e-5).",
    "lr_scheduler_type": "How the learning rate goes down, such as linear or cosine.",
    "warmup_steps": "Steps in which it goes up first; below 1 a share of all.",
    "weight_decay": "Of the optimizer (default: 0).",
    "bf16": "Compute in bfloat16.",
    "gradient_checkpointing": "Compute layers again rather than keep what they made.",
    "eval_strategy": "When to evaluate: epoch (default), steps or no.",
    "save_strategy": "When to save checkpoints: epoch (default), steps, best or no.",
    "load_best_model_at_end": "End with the best checkpoint.",
    "metric_for_best_model": "What is best, such as accuracy (default: loss).",
    "report_to": "jsonl (default), tensorboard, all or none.",
    "seed": "Of everything that is drawn (default: 42).",
    "use_cpu": "Train on the CPU even if there is a GPU.",
}
FLAGS = {full: short for short, full in SHORT.items()}
# Said otherwise on the command line.
ELSEWHERE = ("output_dir", "resume_from_checkpoint", "evaluation_strategy", "do_train", "do_eval", "do_predict")


class Tasks(click.Group):
    """A group with a command for each task that can be trained for, and for each file of settings."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(tasks())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name.endswith(FILES):
            settings = read_settings(cmd_name)
            if "task" not in settings:
                raise InputError(f"{cmd_name} names no task; there are {', '.join(tasks())}.")
            return command(find_task(str(settings["task"])), settings)
        kind = task_names().get(cmd_name)
        return None if kind is None else command(kind, {"task": cmd_name})

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0] if args else ""
        if name and not name.startswith("-") and not name.endswith(FILES) and name not in task_names():
            hint = did_you_mean(name, task_names()) or f" There are {', '.join(tasks())}."
            ctx.fail(f"There is no task {name!r} to train for, and no file of settings (.yaml) of that name.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=Tasks, subcommand_metavar="TASK|FILE.yaml [OPTIONS]")
def train() -> None:
    """Train a checkpoint for a task, on rows of csv, jsonl, parquet or txt files.

    What a FILE says may be said by options too, which come before it: its keys are their names, with _ for -. The
    model is written with its card (README.md) and a report (report.html) that shows how it went and what it gets wrong.

    \b
    Examples:
      headway train text-classification --model bert-base-uncased --train reviews.csv -o reviews
      headway train reviews.yaml --lr 3e-5 --resume
    """


def command(kind: type[Task], settings: dict[str, Any]) -> click.Command:
    """The command of a task, with ``settings`` where no option is given."""

    def call(resume: bool, json_: bool, **given: Any) -> None:
        said = {name: value for name, value in given.items() if value is not None and value != ()}
        said = {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}
        # A short name and the long one are the same.
        before = {SHORT.get(name, name): value for name, value in settings.items()}
        _run({**before, **said}, resume, json_)

    return click.Command(
        kind.name,
        params=[*_own(settings), *_columns(kind), *_options(kind.Options), *_options(Adapting), *_arguments()],
        callback=call,
        help=f"Train for {kind.name}: {kind.summary}.\n\nEvery argument of TrainingArguments is an option too, such as "
        "--max-grad-norm or --label-smoothing-factor.",
        short_help=f"{kind.summary[0].upper()}{kind.summary[1:]}.",
    )


def _own(settings: dict[str, Any]) -> list[click.Parameter]:
    missing = {name: settings.get(name) is None for name in ("model", "train")}
    return [
        click.Option(
            ["-m", "--model"],
            required=missing["model"],
            help="A folder, or the id of a repo on the hub, to start from.",
        ),
        click.Option(["--train"], required=missing["train"], help="The file to train on."),
        click.Option(["--eval"], help="The file to evaluate on."),
        click.Option(["--eval-share"], type=float, help="The share to hold out where there is none (default: 0.1)."),
        click.Option(["-o", "--output-dir"], help="Where model, card, report and checkpoints go."),
        click.Option(["--resume"], is_flag=True, help="Go on from the newest checkpoint, if there is any."),
        click.Option(["--json", "json_"], is_flag=True, help="Print the metrics and files as one JSON document."),
    ]


def _columns(kind: type[Task]) -> list[click.Parameter]:
    return [
        click.Option([f"--{role.role.replace('_', '-')}-column"], help=f"The column that holds {role.help}.")
        for role in kind.roles
    ]


def _options(kind: type[Any]) -> list[click.Parameter]:
    """An option for each field of a dataclass, made by ``headway.training.tasks.base.option``."""
    found: list[click.Parameter] = []
    for one in dataclasses.fields(kind):
        flag, said = f"--{one.name.replace('_', '-')}", one.default not in (None, "", False)
        default = f" (default: {one.default})" if said else ""
        text = f"{one.metadata['help'][0].upper()}{one.metadata['help'][1:]}{default}."
        if one.metadata["kind"] is bool:
            found.append(click.Option([f"{flag}/--no-{flag[2:]}", one.name], default=None, help=text))
        elif one.metadata["kind"] is list:
            found.append(click.Option([flag, one.name], multiple=True, help=text))
        else:
            found.append(click.Option([flag, one.name], type=one.metadata["kind"], help=text))
    return found


def _arguments() -> list[click.Parameter]:
    """An option for each argument of ``TrainingArguments``, the common ones with help."""
    known = {one.name: str(one.type) for one in dataclasses.fields(TrainingArguments) if one.name not in ELSEWHERE}
    return [_argument(name, known[name]) for name in (*SHOWN, *(name for name in known if name not in SHOWN))]


def _argument(name: str, annotation: str) -> click.Parameter:
    kinds = {kind.strip() for kind in annotation.split("|")}
    flag, help, hidden = f"--{name.replace('_', '-')}", SHOWN.get(name), name not in SHOWN
    if "bool" in kinds:
        return click.Option([f"{flag}/--no-{flag[2:]}", name], default=None, help=help, hidden=hidden)
    short = [f"--{FLAGS[name].replace('_', '-')}"] if name in FLAGS else []
    if any(kind.startswith("list") for kind in kinds):
        return click.Option([flag, name], multiple=True, help=help, hidden=hidden)
    kind = float if "float" in kinds else int if "int" in kinds else str
    return click.Option([*short, flag, name], type=kind, help=help, hidden=hidden)


def _run(settings: dict[str, Any], resume: bool, json_: bool) -> None:
    job = TrainJob.of(**settings).prepare()
    for note in job.notes:
        click.echo(note, err=True)
    trained = job.run(resume)
    if not job.trainer.args.should_save:
        return
    places = {"model": trained.folder, "card": trained.card_path, "report": trained.report_path}
    if json_:
        found = {"metrics": trained.metrics, **{name: str(path) for name, path in places.items()}}
        click.echo(as_json(found, indent=True))
        return
    numbers = {"train_loss": trained.metrics["train_loss"], **without_speed(trained.report.metrics)}
    click.echo(table({"metric": name, "value": float(value)} for name, value in numbers.items()))
    click.echo()
    width = max(map(len, places))
    for name, path in places.items():
        click.echo(f"{name:<{width}}  {path}")
