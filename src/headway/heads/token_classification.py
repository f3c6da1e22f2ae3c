"""A label for every token."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from headway import spec
from headway.config import PreTrainedConfig
from headway.heads.base import TEXT, Prediction, Recipes, head_dropout
from headway.heads.losses import Targets, cross_entropy, token_labels
from headway.nn.batch import Batch
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

    def read_labels(self, name: str, labels: Tensor, batch: Batch) -> Tensor:
        return token_labels(labels, batch)

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.predict(states, ids)
        target = self.target("labels", targets, states.batch)
        return TokenClassifierOutput(
            loss=None if target is None else cross_entropy(logits, target), logits=states.batch.unpack(logits)
        )
