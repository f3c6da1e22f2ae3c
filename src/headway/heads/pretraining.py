"""The objectives that families were trained with, where these are more than a language model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from headway import spec
from headway.config import PreTrainedConfig
from headway.heads.base import Head, Hidden, Recipes, Targets, read, width_read
from headway.heads.language_model import MaskedLM, ToVocabulary
from headway.heads.losses import by_token, cross_entropy, fitting
from headway.nn.linear import Linear
from headway.nn.stack import States
from headway.outputs import ModelOutput, PreTrainingOutput


class PreTraining(Head):
    """Made of what the family's recipe says: ``SentencePairPretraining`` or ``ReplacedTokenDetection``."""

    task = "pretraining"
    suffix = "ForPreTraining"
    kinds = (spec.Encoder,)

    @classmethod
    def variant(cls, recipe: Any) -> type[Head]:
        return SentencePair if isinstance(recipe, spec.SentencePairPretraining) else ReplacedToken

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        return None


class SentencePair(PreTraining):
    """Masked tokens and the relation of two sentences."""

    @classmethod
    def targets_of(cls, recipe: spec.SentencePairPretraining) -> tuple[str, ...]:
        return ("labels", recipe.label)

    def __init__(self, config: PreTrainedConfig, recipe: spec.SentencePairPretraining, backbone: spec.Backbone) -> None:
        lm = recipe.lm or MaskedLM.recipe(backbone, config, {})
        super().__init__(config, lm, backbone)
        self.lm = ToVocabulary(lm, backbone)
        self.pair = Linear(width_read(recipe.pair.read, backbone), 2, recipe.pair.bias)
        self.pair_read = recipe.pair.read
        self.fields = ("prediction_logits", recipe.logits)
        self.labels = ("labels", recipe.label)

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.lm(states.x)
        relation = self.pair(read(self.pair_read, states, ids, self.config))
        labels, relations = (targets.get(name) for name in self.labels)
        loss = None
        if labels is not None and relations is not None:
            loss = by_token(logits, labels, states.batch) + cross_entropy(relation, relations)
        output = PreTrainingOutput(loss=loss)
        for name, value in zip(self.fields, (states.batch.unpack(logits), relation), strict=True):
            output[name] = value
        return output


class ReplacedToken(PreTraining):
    """One logit a token: was it replaced by a generator?"""

    def __init__(self, config: PreTrainedConfig, recipe: spec.ReplacedTokenDetection, backbone: spec.Backbone) -> None:
        super().__init__(config, spec.Predict(spec.EveryToken()), backbone)
        width = width_read(spec.EveryToken(), backbone)
        self.hidden = Hidden(recipe.dense, width)
        self.out = Linear(recipe.dense.width or width, 1)

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.out(self.hidden(states.x)).squeeze(-1)
        labels = targets.get("labels")
        loss = None
        if labels is not None:
            loss = F.binary_cross_entropy_with_logits(
                logits.float(), states.batch.pack(fitting(labels, states.batch)).to(torch.float32)
            )
        return PreTrainingOutput(loss=loss, logits=states.batch.unpack(logits))
