"""What was trained, and with which arguments, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from headway.training.arguments import TrainingArguments
from headway.training.report.chart import number

# Where things lie, and how they are watched: no part of what is learnt.
_ELSEWHERE = (
    *("output_dir", "logging_dir", "run_name", "disable_tqdm", "report_to", "logging_strategy", "logging_steps"),
    *("logging_first_step", "save_strategy", "save_steps", "save_total_limit", "resume_from_checkpoint"),
    *("do_train", "do_eval", "do_predict", "eval_strategy", "eval_steps"),
)
# What the card and the report always say.
_ALWAYS = ("learning_rate", "num_train_epochs", "per_device_train_batch_size", "seed")


def model_facts(model: Any) -> dict[str, Any]:
    """The model, its family and head, and how much of it is trained."""
    config, plan = getattr(model, "config", None), getattr(model, "plan", None)
    every = sum(parameter.numel() for parameter in model.parameters())
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    facts = {
        "model": type(model).__name__,
        "family": getattr(config, "model_type", None),
        "head": getattr(model, "task", None) if plan is not None else None,
        "started from": getattr(config, "name_or_path", None),
        "parameters": f"{every:,}",
        "trained": "all" if trained == every else f"{trained:,} ({trained / max(every, 1):.2%})",
    }
    return {name: value for name, value in facts.items() if value}


def chosen_arguments(args: TrainingArguments) -> dict[str, Any]:
    """The arguments that differ from the defaults, and the few that everybody asks for."""
    plain = type(args)(output_dir=args.output_dir)
    found = {}
    for one in fields(args):
        value = getattr(args, one.name)
        if one.name not in _ELSEWHERE and (one.name in _ALWAYS or value != getattr(plain, one.name)):
            found[one.name] = value
    return found


def rows_of(dataset: Any) -> str | None:
    """How many rows a data set has."""
    try:
        return f"{len(dataset):,} rows"
    except TypeError:
        return None


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 60:
        return f"{number(round(seconds, 1))} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def without_speed(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics of a model, without what an evaluation tells of itself."""
    ends = ("_runtime", "_samples_per_second", "_steps_per_second")
    return {
        name.removeprefix("eval_"): value
        for name, value in metrics.items()
        if not name.endswith(ends) and name not in ("epoch", "step")
    }
