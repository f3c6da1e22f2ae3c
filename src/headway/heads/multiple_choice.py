"""Which of several continuations fits: each is a row, scored by itself."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from headway import spec
from headway.config import PreTrainedConfig
from headway.heads.base import TEXT, Prediction, Recipes, summary, summary_names
from headway.heads.losses import Targets, cross_entropy
from headway.nn.stack import States
from headway.outputs import ModelOutput, MultipleChoiceModelOutput


class MultipleChoice(Prediction):
    """Logits ``[rows, choices]`` from inputs ``[rows, choices, width]``; ``labels [rows]``."""

    task = "multiple-choice"
    suffix = "ForMultipleChoice"
    kinds = TEXT
    like = "sequence-classification"

    def __init__(self, config: PreTrainedConfig, recipe: spec.Predict, backbone: spec.Backbone) -> None:
        super().__init__(config, recipe, backbone, 1)

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        if isinstance(backbone, spec.Encoder) and backbone.pooler is None and cls.like in own:
            return own[cls.like]
        return summary(backbone, config, bias=False)

    @classmethod
    def names(cls, recipe: spec.Predict) -> dict[str, str]:
        return summary_names(recipe, "classifier")

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.predict(states, ids).view(-1, states.choices)
        target = targets.get("labels")
        return MultipleChoiceModelOutput(loss=None if target is None else cross_entropy(logits, target), logits=logits)
