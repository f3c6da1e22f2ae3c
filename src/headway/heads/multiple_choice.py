"""Which of several continuations fits: each is a row, scored by itself."""

from __future__ import annotations

from torch import Tensor

from headway import tasks
from headway.heads.base import Prediction
from headway.heads.losses import Targets, cross_entropy
from headway.nn.stack import States
from headway.outputs import ModelOutput, MultipleChoiceModelOutput


class MultipleChoice(tasks.MultipleChoice, Prediction):
    """Logits ``[rows, choices]`` from inputs ``[rows, choices, width]``; ``labels [rows]``."""

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.predict(states, ids).view(-1, states.choices)
        target = targets.get("labels")
        return MultipleChoiceModelOutput(loss=None if target is None else cross_entropy(logits, target), logits=logits)
