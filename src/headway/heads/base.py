"""What all heads have in common: reading states, a small network over them, and a place in the table of heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from headway import spec
from headway.config import PreTrainedConfig
from headway.errors import InputError
from headway.heads.losses import Target, Targets, real
from headway.names import Stored
from headway.nn.activations import activation
from headway.nn.batch import Batch
from headway.nn.builders import build
from headway.nn.linear import Linear
from headway.nn.reading import gather, last_of
from headway.nn.stack import States
from headway.outputs import ModelOutput

TEXT = (spec.Encoder, spec.Decoder, spec.EncoderDecoder)
Recipes = Mapping[str, spec.Recipe]

HEADS: dict[str, type[Head]] = {}


class Head(nn.Module):
    """A network over a backbone's states. A subclass is entered in ``HEADS`` under its ``task``.

    Attributes:
        task: its key.
        suffix: what class names with this head end in.
        kinds: the kinds of backbone that it makes sense on.
        targets: the arguments that carry labels.
        answers: the task for which it stands in where a checkpoint's config names it.
        like: the task whose names in files it shares where a family gives it none of its own.
    """

    task: ClassVar[str]
    suffix: ClassVar[str]
    kinds: ClassVar[tuple[type, ...]]
    targets: ClassVar[tuple[str, ...]] = ("labels",)
    answers: ClassVar[str | None] = None
    like: ClassVar[str | None] = None

    def __init_subclass__(cls) -> None:
        if "task" in cls.__dict__:
            HEADS[cls.task] = cls

    def __init__(self, config: PreTrainedConfig, recipe: Any, backbone: spec.Backbone) -> None:
        super().__init__()
        self.config = config
        self.read = recipe.read

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        """What this head is on a backbone of one of its ``kinds`` whose family says nothing of it, or None.

        ``own`` holds the recipes that the family does give.
        """
        raise TypeError(f"{cls.__name__} says no recipe")

    @classmethod
    def variant(cls, recipe: Any) -> type[Head]:
        """The class that ``recipe`` asks for, where a head has several."""
        return cls

    @classmethod
    def targets_of(cls, recipe: Any) -> tuple[str, ...]:
        """The arguments that carry labels."""
        return cls.targets

    @classmethod
    def names(cls, recipe: Any) -> Mapping[str, str | Stored]:
        """Canonical names of the head's modules to those in checkpoints of families that say nothing else."""
        return {}

    def read_labels(self, name: str, labels: Tensor, batch: Batch) -> Tensor:
        """The labels of the argument ``name`` as the loss reads them, in the layout of ``batch``; -100 is no label."""
        return labels

    def target(self, name: str, targets: Targets, batch: Batch) -> Target | None:
        """What ``targets`` hold for the argument ``name``, with the labels as the loss reads them."""
        given = targets.get(name)
        return None if given is None else replace(given, labels=self.read_labels(name, given.labels, batch))

    def count(self, name: str, labels: Tensor, batch: Batch) -> int:
        """How many labels of the argument ``name`` the loss is a mean over."""
        return real(self.read_labels(name, labels, batch))

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        """The head's output for ``states``; ``ids`` are the token ids that the states belong to, where known."""
        raise TypeError(f"{type(self).__name__} has no forward")


class Prediction(Head):
    """Read, an optional hidden layer, dropout, and a linear layer: the network of most heads."""

    output: ClassVar[type[ModelOutput]]

    def __init__(self, config: PreTrainedConfig, recipe: spec.Predict, backbone: spec.Backbone, labels: int) -> None:
        super().__init__(config, recipe, backbone)
        width = width_read(recipe.read, backbone)
        self.hidden = None if recipe.dense is None else Hidden(recipe.dense, width)
        self.out = Linear(width if recipe.dense is None else recipe.dense.width or width, labels, recipe.bias)
        self.dropout = recipe.dropout

    def predict(self, states: States, ids: Tensor | None) -> Tensor:
        """The logits, in the layout that the head reads."""
        x = self.drop(read(self.read, states, ids, self.config))
        if self.hidden is not None:
            x = self.drop(self.hidden(x))
        logits: Tensor = self.out(x)
        return logits

    def drop(self, x: Tensor) -> Tensor:
        """Dropout while training."""
        return F.dropout(x, self.dropout) if self.training and self.dropout else x


class Hidden(nn.Module):
    """A head's hidden layer: linear, activation, norm."""

    def __init__(self, dense: spec.Dense, width: int) -> None:
        super().__init__()
        self.dense = Linear(width, dense.width or width, dense.bias)
        self.norm = None if dense.norm is None else build(dense.norm, dense.width or width)
        self.act = activation(dense.activation)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.dense(x))
        return x if self.norm is None else self.norm(x)


def read(kind: spec.Read, states: States, ids: Tensor | None, config: PreTrainedConfig) -> Tensor:
    """What ``kind`` names of ``states``: ``[rows, channels]``, or every token in the batch's layout."""
    if isinstance(kind, spec.LastEos):
        ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
        return last_of([end for end in ends if end is not None], states.x, states.batch, ids)
    if not isinstance(kind, spec.Pooled):
        return gather(kind, states.x, states.batch, ids)
    if states.pooled is None:
        raise InputError("This model reads the state at its end-of-sequence token, so it needs input_ids.")
    return states.pooled


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


def pooled_or_first(backbone: spec.Encoder | spec.VisionEncoder) -> spec.Read:
    """The pooler where the backbone has one, else its first token."""
    return spec.FirstToken() if backbone.pooler is None else spec.Pooled()


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
            read: spec.Read = pooled_or_first(backbone)
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
