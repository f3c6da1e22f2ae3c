"""A label for an image."""

from __future__ import annotations

from torch import Tensor

from headway import tasks
from headway.heads.base import Prediction
from headway.heads.losses import Targets, classification, classification_count
from headway.nn.batch import Batch
from headway.nn.stack import States
from headway.outputs import ImageClassifierOutput, ModelOutput


class ImageClassification(tasks.ImageClassification, Prediction):
    """Logits ``[rows, labels]``; ``labels`` as in sequence classification."""

    def count(self, name: str, labels: Tensor, batch: Batch) -> int:
        return classification_count(labels, self.config)

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.predict(states, ids)
        target = targets.get("labels")
        return ImageClassifierOutput(
            loss=None if target is None else classification(logits, target, self.config), logits=logits
        )
