"""What the field calls a family with a head, such as ``BertForSequenceClassification``, and what such a name means."""

from __future__ import annotations

from functools import cache

from headway.config import PreTrainedConfig
from headway.models.plan import BASE, canonical_task, tasks_of
from headway.registry import Family, families, find_family
from headway.tasks import TASKS


def class_name(family: Family, task: str) -> str:
    """The field's name of a family with a head."""
    return family.classes.get(task, family.title + ("Model" if task == BASE else TASKS[task].suffix))


def named_task(config: PreTrainedConfig, task: str) -> str:
    """``task``, or the one that answers it as well and was trained into the checkpoint of ``config``."""
    family, others = families()[config.model_type], [head for head in TASKS.values() if head.answers == task]
    for head in others:
        if class_name(family, head.task) in (config.architectures or ()) and head.task in family.heads(config):
            return head.task
    return task


def saved_task(config: PreTrainedConfig) -> str:
    """The task of the class that the checkpoint of ``config`` was saved as; the bare backbone where none is named."""
    family = find_family(config.model_type)
    names = config.architectures or ()
    found = next((task for task in tasks_of(family) if class_name(family, task) in names), BASE)
    return canonical_task(family, found)


def find_class(name: str) -> tuple[str, str] | None:
    """The family and task of the class called ``name``; only families that may have it are asked what they take."""
    for family in families().values():
        if name.startswith(family.title) or name in family.classes.values():
            for task in (*tasks_of(family), BASE):
                if class_name(family, task) == name:
                    return family.model_type, task
    return None


@cache
def class_names() -> dict[str, tuple[str, str]]:
    """Every class name to its family and task."""
    return {
        class_name(family, task): (family.model_type, task)
        for family in families().values()
        for task in (BASE, *tasks_of(family))
    }
