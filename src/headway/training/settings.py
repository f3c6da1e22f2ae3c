"""Settings of a training as files and flags say them, side by side under one name each."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from headway.errors import ConfigError
from headway.training.arguments import TrainingArguments

# What a job does where nothing is said: it can be watched, and resumed.
DEFAULTS: dict[str, Any] = {
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "save_total_limit": 2,
    "logging_steps": 0.02,
    "logging_first_step": True,
    "report_to": "jsonl",
}
# Short names of arguments.
SHORT = {
    "epochs": "num_train_epochs",
    "batch_size": "per_device_train_batch_size",
    "eval_batch_size": "per_device_eval_batch_size",
    "lr": "learning_rate",
}
ARGUMENTS = {one.name: str(one.type) for one in fields(TrainingArguments)}


def read_settings(path: str | Path) -> dict[str, Any]:
    """The settings of a YAML or JSON file; raises ``ConfigError``."""
    import yaml

    try:
        found = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read: {' '.join(str(error).split())}.") from None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ConfigError(f"{path} must hold settings, such as 'task: text-classification', one on each line.")
    return {name.replace("-", "_"): value for name, value in found.items()}


def fitting(value: Any, kinds: str) -> Any:
    """A number that was read as text, as YAML reads 5e-5, as a number where ``kinds`` allows that alone."""
    allowed = {kind.strip() for kind in kinds.split("|")}
    if isinstance(value, str) and allowed & {"int", "float"} and "str" not in allowed:
        try:
            return float(value) if "float" in allowed else int(value)
        except ValueError:
            return value
    return value
