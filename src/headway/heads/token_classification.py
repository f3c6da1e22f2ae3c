"""A label for every token."""

from __future__ import annotations

from torch import Tensor

from headway import tasks
from headway.heads.base import Prediction
from headway.heads.losses import Targets, cross_entropy, token_labels
from headway.nn.batch import Batch
from headway.nn.stack import States
from headway.outputs import ModelOutput, TokenClassifierOutput


class TokenClassification(tasks.TokenClassification, Prediction):
    """Logits ``[rows, width, labels]``; ``labels [rows, width]``, -100 where there is none."""

    def read_labels(self, name: str, labels: Tensor, batch: Batch) -> Tensor:
        return token_labels(labels, batch)

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.predict(states, ids)
        target = self.target("labels", targets, states.batch)
        return TokenClassifierOutput(
            loss=None if target is None else cross_entropy(logits, target), logits=states.batch.unpack(logits)
        )
