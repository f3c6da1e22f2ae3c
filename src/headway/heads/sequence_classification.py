"""A label, a score or several labels for a whole row."""

from __future__ import annotations

from torch import Tensor

from headway import tasks
from headway.heads.base import Prediction
from headway.heads.losses import Targets, classification, classification_count
from headway.nn.batch import Batch
from headway.nn.stack import States
from headway.outputs import ModelOutput, SequenceClassifierOutput


class SequenceClassification(tasks.SequenceClassification, Prediction):
    """Logits ``[rows, labels]``; ``labels [rows]`` for one class or a score, ``[rows, labels]`` for several."""

    def count(self, name: str, labels: Tensor, batch: Batch) -> int:
        return classification_count(labels, self.config)

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.predict(states, ids)
        target = targets.get("labels")
        return SequenceClassifierOutput(
            loss=None if target is None else classification(logits, target, self.config), logits=logits
        )
