"""Classes such as ``BertForSequenceClassification``: a family and a task put together, once."""

from __future__ import annotations

from functools import cache

from headway import spec
from headway.config import PreTrainedConfig
from headway.heads import HEADS
from headway.models.encoder_decoder import EncoderDecoderModel
from headway.models.family import FamilyModel
from headway.models.plan import BASE, canonical_task, plan, tasks_of
from headway.models.text import TextModel
from headway.models.two_towers import TwoTowerModel
from headway.models.vision import VisionModel
from headway.registry import Family, families, find_family

_KINDS: dict[type, type[FamilyModel]] = {
    spec.Encoder: TextModel,
    spec.Decoder: TextModel,
    spec.EncoderDecoder: EncoderDecoderModel,
    spec.VisionEncoder: VisionModel,
    spec.TwoTowers: TwoTowerModel,
}


@cache
def model_class(model_type: str, task: str) -> type[FamilyModel]:
    """The class for a family and a task; the same one every time."""
    return _class(model_type, canonical_task(find_family(model_type), task))


@cache
def _class(model_type: str, task: str) -> type[FamilyModel]:
    family = find_family(model_type)
    config = family.config()
    made = plan(family, task, config)
    kind = _KINDS[type(made.backbone)]
    if made.parts != ("encoder", "decoder"):
        kind = TextModel
    name = class_name(family, task)
    said = "The bare backbone" if made.head is None else f"{(made.head.__doc__ or '').strip()}\n\n    The backbone"
    return type(
        name,
        (kind,),
        {
            "__doc__": f"{said} is {family.title}'s; see ``headway.families``.",
            "__module__": "headway",
            "family": family,
            "task": task,
            "config_class": family.config,
            "base_model_prefix": made.names.prefix,
        },
    )


def class_name(family: Family, task: str) -> str:
    """The field's name of a family with a head."""
    return family.classes.get(task, family.title + ("Model" if task == BASE else HEADS[task].suffix))


def named_task(config: PreTrainedConfig, task: str) -> str:
    """``task``, or the one that answers it as well and was trained into the checkpoint of ``config``."""
    family, others = families()[config.model_type], [head for head in HEADS.values() if head.answers == task]
    for head in others:
        if class_name(family, head.task) in (config.architectures or ()) and head.task in family.heads(config):
            return head.task
    return task


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
