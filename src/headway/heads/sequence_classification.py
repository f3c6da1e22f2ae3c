"""A label, a score or several labels for a whole row."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from headway import spec
from headway.config import PreTrainedConfig
from headway.heads.base import TEXT, Prediction, Recipes, summary, summary_names
from headway.heads.losses import Targets, classification, classification_count
from headway.nn.batch import Batch
from headway.nn.stack import States
from headway.outputs import ModelOutput, SequenceClassifierOutput


class SequenceClassification(Prediction):
    """Logits ``[rows, labels]``; ``labels [rows]`` for one class or a score, ``[rows, labels]`` for several."""

    task = "sequence-classification"
    suffix = "ForSequenceClassification"
    kinds = TEXT

    def __init__(self, config: PreTrainedConfig, recipe: spec.Predict, backbone: spec.Backbone) -> None:
        super().__init__(config, recipe, backbone, config.num_labels)

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        return summary(backbone, config, bias=False)

    @classmethod
    def names(cls, recipe: spec.Predict) -> dict[str, str]:
        return summary_names(recipe, "classification_head" if isinstance(recipe.read, spec.LastEos) else "classifier")

    def count(self, name: str, labels: Tensor, batch: Batch) -> int:
        return classification_count(labels, self.config)

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.predict(states, ids)
        target = targets.get("labels")
        return SequenceClassifierOutput(
            loss=None if target is None else classification(logits, target, self.config), logits=logits
        )
