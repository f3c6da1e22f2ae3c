"""``Task``: what is known of a head before it is built, and the table of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from headway import spec
from headway.config import PreTrainedConfig
from headway.names import Stored

TEXT = (spec.Encoder, spec.Decoder, spec.EncoderDecoder)
Recipes = Mapping[str, spec.Recipe]

TASKS: dict[str, type[Task]] = {}


class Task:
    """What a head is for. A subclass is entered in ``TASKS`` under its ``task``; its network is one in ``heads``.

    Attributes:
        task: its key.
        suffix: what class names with this head end in.
        auto: what the name of its Auto class ends in, where that is another.
        kinds: the kinds of backbone that it makes sense on.
        targets: the arguments that carry labels.
        num_labels: how many labels it tells apart; None for as many as the config says.
        answers: the task for which it stands in where a checkpoint's config names it.
        like: the task whose names in files it shares where a family gives it none of its own.
    """

    task: ClassVar[str]
    suffix: ClassVar[str]
    auto: ClassVar[str | None] = None
    kinds: ClassVar[tuple[type, ...]]
    targets: ClassVar[tuple[str, ...]] = ("labels",)
    num_labels: ClassVar[int | None] = None
    answers: ClassVar[str | None] = None
    like: ClassVar[str | None] = None

    def __init_subclass__(cls) -> None:
        if "task" in cls.__dict__:
            TASKS[cls.task] = cls

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        """What this head is on a backbone of one of its ``kinds`` whose family says nothing of it, or None.

        ``own`` holds the recipes that the family does give.
        """
        raise TypeError(f"{cls.__name__} says no recipe")

    @classmethod
    def targets_of(cls, recipe: Any) -> tuple[str, ...]:
        """The arguments that carry labels."""
        return cls.targets

    @classmethod
    def names(cls, recipe: Any) -> Mapping[str, str | Stored]:
        """Canonical names of the head's modules to those in checkpoints of families that say nothing else."""
        return {}


def width_read(kind: spec.Read, backbone: spec.Backbone) -> int:
    """Channels of what ``kind`` names."""
    assert not isinstance(backbone, spec.TwoTowers)
    if isinstance(kind, spec.Joined):
        return sum(width_read(each, backbone) for each in kind.reads)
    if isinstance(backbone, spec.EncoderDecoder):
        return backbone.encoder.width if isinstance(kind, spec.EncoderTokens) else backbone.decoder.width
    if isinstance(kind, spec.Pooled) and backbone.pooler is not None:
        return backbone.pooler.width or backbone.stack.width
    return backbone.stack.out or backbone.stack.width


def head_dropout(config: PreTrainedConfig) -> float:
    """The dropout of a head, under the spellings of configs."""
    for name in ("classifier_dropout", "classifier_dropout_prob", "hidden_dropout_prob", "hidden_dropout", "dropout"):
        value = getattr(config, name, None)
        if value is not None:
            return float(value)
    return 0.0


def summary(backbone: spec.Backbone, config: PreTrainedConfig, bias: bool = True) -> spec.Predict:
    """The recipe of heads that say one thing of a whole row, by the backbone's kind."""
    match backbone:
        case spec.Encoder():
            read: spec.Read = spec.FirstToken() if backbone.pooler is None else spec.Pooled()
            dense = None if backbone.pooler else spec.Dense("tanh")
            return spec.Predict(read, dense, dropout=head_dropout(config))
        case spec.Decoder():
            return spec.Predict(spec.LastToken(), bias=bias)
        case spec.EncoderDecoder():
            return spec.Predict(spec.LastEos(), spec.Dense("tanh"), dropout=head_dropout(config))
        case spec.VisionEncoder():
            return spec.Predict(spec.FirstToken())
    raise TypeError(f"{type(backbone).__name__} has no states of its own to read")


def summary_names(recipe: spec.Predict, name: str) -> dict[str, str]:
    """Checkpoint names of such heads: ``score`` or ``name``, and a sub-module each where there is a hidden layer."""
    if isinstance(recipe.read, spec.LastToken):
        return {"out": "score"}
    if recipe.dense is None:
        return {"out": name}
    return {"hidden.dense": f"{name}.dense", "out": f"{name}.out_proj"}
