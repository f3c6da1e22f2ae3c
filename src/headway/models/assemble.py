"""Classes such as ``BertForSequenceClassification``: a family and a task put together, once."""

from __future__ import annotations

from functools import cache

from headway import spec
from headway.heads import head_of
from headway.models.classes import class_name
from headway.models.encoder_decoder import EncoderDecoderModel
from headway.models.family import FamilyModel
from headway.models.plan import canonical_task, plan
from headway.models.pretrained import PreTrainedModel
from headway.models.text import TextModel
from headway.models.two_towers import TwoTowerModel
from headway.models.vision import VisionModel
from headway.registry import find_family

_KINDS: dict[type, type[FamilyModel]] = {
    spec.Encoder: TextModel,
    spec.Decoder: TextModel,
    spec.EncoderDecoder: EncoderDecoderModel,
    spec.VisionEncoder: VisionModel,
    spec.TwoTowers: TwoTowerModel,
}


@cache
def base_class(model_type: str) -> type[PreTrainedModel]:
    """What classes of one's own with a family's config derive from, such as ``BertPreTrainedModel``."""
    family = find_family(model_type)
    return type(
        f"{family.title}{PreTrainedModel.__name__}",
        (PreTrainedModel,),
        {
            "__doc__": f"A module with a config of {family.title}'s; subclass it as ``PreTrainedModel``.",
            "__module__": "headway",
            "config_class": family.config,
        },
    )


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
    head = None if made.head is None else head_of(made.head, made.recipe)
    said = "The bare backbone" if head is None else f"{(head.__doc__ or '').strip()}\n\n    The backbone"
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
