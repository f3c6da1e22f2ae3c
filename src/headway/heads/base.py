"""What all heads have in common: reading states, a small network over them, and a place in the table of heads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from headway import spec
from headway.config import PreTrainedConfig
from headway.errors import InputError
from headway.heads.losses import Target, Targets, real
from headway.nn.activations import activation
from headway.nn.batch import Batch
from headway.nn.builders import build
from headway.nn.linear import Linear
from headway.nn.reading import gather, last_of
from headway.nn.stack import States
from headway.outputs import ModelOutput
from headway.tasks import TASKS, Task, width_read

HEADS: dict[str, type[Head]] = {}


class Head(Task, nn.Module):
    """A network over a backbone's states; the subclass that says a ``Task``'s is entered in ``HEADS`` under its key."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if any(base in TASKS.values() for base in cls.__bases__) or "task" in cls.__dict__:
            HEADS[cls.task] = cls

    def __init__(self, config: PreTrainedConfig, recipe: Any, backbone: spec.Backbone) -> None:
        super().__init__()
        self.config = config
        self.read = recipe.read

    @classmethod
    def variant(cls, recipe: Any) -> type[Head]:
        """The class that ``recipe`` asks for, where a head has several."""
        return cls

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

    def __init__(self, config: PreTrainedConfig, recipe: spec.Predict, backbone: spec.Backbone) -> None:
        super().__init__(config, recipe, backbone)
        labels = config.num_labels if self.num_labels is None else self.num_labels
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


def head_of(task: type[Task], recipe: Any) -> type[Head]:
    """The network of ``task`` that ``recipe`` asks for."""
    return HEADS[task.task].variant(recipe)


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
