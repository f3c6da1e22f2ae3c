"""Does the second sentence follow the first? (Devlin et al. 2018, arXiv:1810.04805)"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from headway import spec
from headway.config import PreTrainedConfig
from headway.heads.base import Prediction, Recipes, summary
from headway.heads.losses import Targets, cross_entropy
from headway.nn.stack import States
from headway.outputs import ModelOutput, NextSentencePredictorOutput


class NextSentencePrediction(Prediction):
    """Logits ``[rows, 2]``; label 0 says that the second sentence follows, 1 that it was drawn at random."""

    task = "next-sentence-prediction"
    suffix = "ForNextSentencePrediction"
    kinds = (spec.Encoder,)

    def __init__(self, config: PreTrainedConfig, recipe: spec.Predict, backbone: spec.Backbone) -> None:
        super().__init__(config, recipe, backbone, 2)

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        return summary(backbone, config)

    @classmethod
    def names(cls, recipe: spec.Predict) -> dict[str, str]:
        rows = {"out": "cls.seq_relationship"}
        return rows if recipe.dense is None else {**rows, "hidden.dense": "cls.dense"}

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.predict(states, ids)
        target = targets.get("labels")
        return NextSentencePredictorOutput(
            loss=None if target is None else cross_entropy(logits, target), logits=logits
        )
