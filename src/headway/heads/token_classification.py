"""A label for every token."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from headway import spec
from headway.config import PreTrainedConfig
from headway.heads.base import TEXT, Prediction, Recipes, Targets, head_dropout
from headway.heads.losses import by_token
from headway.nn.stack import States
from headway.outputs import ModelOutput, TokenClassifierOutput


class TokenClassification(Prediction):
    """Logits ``[rows, width, labels]``; ``labels [rows, width]``, -100 where there is none."""

    task = "token-classification"
    suffix = "ForTokenClassification"
    kinds = TEXT

    def __init__(self, config: PreTrainedConfig, recipe: spec.Predict, backbone: spec.Backbone) -> None:
        super().__init__(config, recipe, backbone, config.num_labels)

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        read = spec.EncoderTokens() if isinstance(backbone, spec.EncoderDecoder) else spec.EveryToken()
        return spec.Predict(read, dropout=head_dropout(config))

    @classmethod
    def names(cls, recipe: spec.Predict) -> dict[str, str]:
        return {"out": "classifier"}

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.predict(states, ids)
        labels = targets.get("labels")
        return TokenClassifierOutput(
            loss=None if labels is None else by_token(logits, labels, states.batch), logits=states.batch.unpack(logits)
        )
