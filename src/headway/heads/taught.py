"""A label for an image, by the vote of two heads: one that learned from labels and one from a teacher."""

from __future__ import annotations

from torch import Tensor

from headway import spec, tasks
from headway.config import PreTrainedConfig
from headway.heads.base import Head, read
from headway.heads.losses import Targets, classification, classification_count
from headway.nn.batch import Batch
from headway.nn.linear import Linear
from headway.nn.stack import States
from headway.outputs import ModelOutput, TaughtClassifierOutput
from headway.tasks import width_read


class TaughtImageClassification(tasks.TaughtImageClassification, Head):
    """Logits ``[rows, labels]``, the mean of both heads'; ``labels`` as in sequence classification."""

    def __init__(self, config: PreTrainedConfig, recipe: spec.Taught, backbone: spec.Backbone) -> None:
        super().__init__(config, recipe, backbone)
        self.reads = (recipe.read, recipe.taught)
        self.own = Linear(width_read(recipe.read, backbone), config.num_labels)
        self.taught = Linear(width_read(recipe.taught, backbone), config.num_labels)

    def count(self, name: str, labels: Tensor, batch: Batch) -> int:
        return classification_count(labels, self.config)

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        own, taught = (
            out(read(kind, states, ids, self.config))
            for out, kind in zip((self.own, self.taught), self.reads, strict=True)
        )
        logits, target = (own + taught) / 2, targets.get("labels")
        return TaughtClassifierOutput(
            loss=None if target is None else classification(logits, target, self.config),
            logits=logits,
            cls_logits=own,
            distillation_logits=taught,
        )
