"""The tasks of ``headway train``: for each how rows become inputs, and what is measured and shown."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from headway.errors import InputError, did_you_mean
from headway.training.tasks.base import TASKS, Task


@cache
def _import_tasks() -> None:
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)


def tasks() -> dict[str, type[Task]]:
    """Every task by its name."""
    _import_tasks()
    return dict(sorted(TASKS.items()))


def task_names() -> dict[str, type[Task]]:
    """Every task by its name and by other names of it."""
    known = tasks()
    return {alias: kind for kind in known.values() for alias in kind.aliases} | known


def find_task(name: str) -> type[Task]:
    """The task ``name``; raises ``InputError`` with the nearest name where there is none."""
    known = task_names()
    if name not in known:
        raise InputError(
            f"There is no task {name!r} to train for.{did_you_mean(name, known)} There are {', '.join(tasks())}."
        )
    return known[name]
