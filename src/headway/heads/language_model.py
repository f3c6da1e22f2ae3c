"""Logits over the vocabulary: masked, causal, and of an encoder-decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headway import spec, tasks
from headway.config import PreTrainedConfig
from headway.heads.base import Head, Hidden, read
from headway.heads.losses import Targets, cross_entropy, load_balance, next_labels, real, token_labels
from headway.nn.batch import Batch
from headway.nn.linear import Linear
from headway.nn.stack import States
from headway.outputs import CausalLMOutput, MaskedLMOutput, ModelOutput, Seq2SeqLMOutput
from headway.tasks import vocabulary_of, width_read


class ToVocabulary(nn.Module):
    """The network of all language models: an optional hidden layer and a linear layer to the vocabulary."""

    def __init__(self, recipe: spec.Vocabulary, backbone: spec.Backbone) -> None:
        super().__init__()
        width = width_read(recipe.read, backbone)
        vocabulary = vocabulary_of(backbone)
        self.hidden = None if recipe.dense is None else Hidden(recipe.dense, width)
        inner = width if recipe.dense is None else recipe.dense.width or width
        self.decoder = Linear(inner, vocabulary, recipe.bias)
        self.offset: Tensor | None
        self.register_buffer("offset", torch.zeros(vocabulary) if recipe.offset else None)
        self.scale, self.softcap = recipe.scale, recipe.softcap

    def forward(self, x: Tensor) -> Tensor:
        if self.hidden is not None:
            x = self.hidden(x)
        if self.scale != 1.0:
            x = x * self.scale
        logits: Tensor = self.decoder(x)
        if self.softcap is not None:
            logits = (logits / self.softcap).tanh() * self.softcap
        return logits if self.offset is None else logits + self.offset


class LanguageModel(Head):
    """What the three have in common; ``lm`` holds the network."""

    def __init__(self, config: PreTrainedConfig, recipe: spec.Vocabulary, backbone: spec.Backbone) -> None:
        super().__init__(config, recipe, backbone)
        self.lm = ToVocabulary(recipe, backbone)

    def read_labels(self, name: str, labels: Tensor, batch: Batch) -> Tensor:
        return token_labels(labels, batch)


class MaskedLM(tasks.MaskedLM, LanguageModel):
    """Logits ``[rows, width, vocabulary]``; ``labels [rows, width]``, -100 at tokens that were not masked."""

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.lm(read(self.read, states, ids, self.config))
        target = self.target("labels", targets, states.batch)
        return MaskedLMOutput(
            loss=None if target is None else cross_entropy(logits, target), logits=states.batch.unpack(logits)
        )


class CausalLM(tasks.CausalLM, LanguageModel):
    """Logits ``[rows, width, vocabulary]`` of the next token; ``labels [rows, width]`` are shifted here.

    The loss that keeps experts in balance is of all tokens of a pass at once and cannot be split: as a part of a step
    it is weighed by the pass's share of the labels.
    """

    def read_labels(self, name: str, labels: Tensor, batch: Batch) -> Tensor:
        return next_labels(labels, batch)

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.lm(read(self.read, states, ids, self.config))
        target = self.target("labels", targets, states.batch)
        loss = None if target is None else cross_entropy(logits, target)
        balance = None
        # A family whose experts are kept in balance otherwise names no coefficient.
        if states.trace.router and hasattr(self.config, "router_aux_loss_coef"):
            balance = load_balance(states.trace.router, self.config.num_experts_per_tok)
            if loss is not None:
                assert target is not None
                part = balance if target.total is None else balance * real(target.labels) / target.total
                loss = loss + self.config.router_aux_loss_coef * part
        return CausalLMOutput(loss=loss, aux_loss=balance, logits=states.batch.unpack(logits))


class Seq2SeqLM(tasks.Seq2SeqLM, LanguageModel):
    """Logits ``[rows, width, vocabulary]`` of the decoder; ``labels`` stand at the decoder's positions."""

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.lm(read(self.read, states, ids, self.config))
        target = self.target("labels", targets, states.batch)
        return Seq2SeqLMOutput(
            loss=None if target is None else cross_entropy(logits, target), logits=states.batch.unpack(logits)
        )
