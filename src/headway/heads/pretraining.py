"""The objectives that families were trained with, where these are more than a language model."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from headway import spec, tasks
from headway.config import PreTrainedConfig
from headway.heads.base import Head, Hidden, read
from headway.heads.language_model import MaskedLM, ToVocabulary
from headway.heads.losses import Targets, binary, cross_entropy, token_labels
from headway.nn.batch import Batch
from headway.nn.linear import Linear
from headway.nn.stack import States
from headway.outputs import ModelOutput, PreTrainingOutput
from headway.tasks import width_read


class PreTraining(tasks.PreTraining, Head):
    """Made of what the family's recipe says: ``SentencePairPretraining`` or ``ReplacedTokenDetection``."""

    @classmethod
    def variant(cls, recipe: Any) -> type[Head]:
        return SentencePair if isinstance(recipe, spec.SentencePairPretraining) else ReplacedToken


class SentencePair(PreTraining):
    """Masked tokens and the relation of two sentences."""

    def __init__(self, config: PreTrainedConfig, recipe: spec.SentencePairPretraining, backbone: spec.Backbone) -> None:
        lm = recipe.lm or MaskedLM.recipe(backbone, config, {})
        super().__init__(config, lm, backbone)
        self.lm = ToVocabulary(lm, backbone)
        self.pair = Linear(width_read(recipe.pair.read, backbone), 2, recipe.pair.bias)
        self.pair_read = recipe.pair.read
        self.fields = ("prediction_logits", recipe.logits)
        self.labels = ("labels", recipe.label)

    def read_labels(self, name: str, labels: Tensor, batch: Batch) -> Tensor:
        return token_labels(labels, batch) if name == "labels" else labels

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.lm(states.x)
        relation = self.pair(read(self.pair_read, states, ids, self.config))
        tokens, relations = (self.target(name, targets, states.batch) for name in self.labels)
        loss = None
        if tokens is not None and relations is not None:
            loss = cross_entropy(logits, tokens) + cross_entropy(relation, relations)
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

    def read_labels(self, name: str, labels: Tensor, batch: Batch) -> Tensor:
        return token_labels(labels, batch)

    def count(self, name: str, labels: Tensor, batch: Batch) -> int:
        return self.read_labels(name, labels, batch).numel()

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.out(self.hidden(states.x)).squeeze(-1)
        target = self.target("labels", targets, states.batch)
        loss = None if target is None else binary(logits, target)
        return PreTrainingOutput(loss=loss, logits=states.batch.unpack(logits))
