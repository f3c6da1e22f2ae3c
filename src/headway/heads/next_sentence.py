"""Does the second sentence follow the first? (Devlin et al. 2018, arXiv:1810.04805)"""

from __future__ import annotations

from torch import Tensor

from headway import tasks
from headway.heads.base import Prediction
from headway.heads.losses import Targets, cross_entropy
from headway.nn.stack import States
from headway.outputs import ModelOutput, NextSentencePredictorOutput


class NextSentencePrediction(tasks.NextSentencePrediction, Prediction):
    """Logits ``[rows, 2]``; label 0 says that the second sentence follows, 1 that it was drawn at random."""

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.predict(states, ids)
        target = targets.get("labels")
        return NextSentencePredictorOutput(
            loss=None if target is None else cross_entropy(logits, target), logits=logits
        )
