"""Logits over the vocabulary: masked, causal, and of an encoder-decoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from headway import spec
from headway.config import PreTrainedConfig
from headway.heads.base import TEXT, Head, Hidden, Recipes, read, width_read
from headway.heads.losses import Targets, cross_entropy, load_balance, next_labels, real, token_labels
from headway.layouts import Reshaped
from headway.names import Stored
from headway.nn.batch import Batch
from headway.nn.linear import Linear
from headway.nn.stack import States
from headway.outputs import CausalLMOutput, MaskedLMOutput, ModelOutput, Seq2SeqLMOutput


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


def vocabulary_of(backbone: spec.Backbone) -> int:
    """Entries of the backbone's token table."""
    assert not isinstance(backbone, spec.TwoTowers)
    embed = backbone.decoder.embed if isinstance(backbone, spec.EncoderDecoder) else backbone.stack.embed
    assert isinstance(embed, spec.Embed)
    return embed.vocabulary


class LanguageModel(Head):
    """What the three have in common; ``lm`` holds the network."""

    def __init__(self, config: PreTrainedConfig, recipe: spec.Vocabulary, backbone: spec.Backbone) -> None:
        super().__init__(config, recipe, backbone)
        self.lm = ToVocabulary(recipe, backbone)

    @classmethod
    def names(cls, recipe: spec.Vocabulary) -> dict[str, str | Stored]:
        rows: dict[str, str | Stored] = {"lm.decoder": "lm_head", "lm.offset": Stored("final_logits_bias", Reshaped(1))}
        if recipe.dense is not None:
            rows |= {"lm.hidden.dense": "lm_head.dense", "lm.hidden.norm": "lm_head.layer_norm"}
            rows |= {"lm.decoder": "lm_head.decoder"}
        return rows

    def read_labels(self, name: str, labels: Tensor, batch: Batch) -> Tensor:
        return token_labels(labels, batch)


class MaskedLM(LanguageModel):
    """Logits ``[rows, width, vocabulary]``; ``labels [rows, width]``, -100 at tokens that were not masked."""

    task = "masked-lm"
    suffix = "ForMaskedLM"
    kinds = (spec.Encoder,)

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        assert isinstance(backbone, spec.Encoder)
        embed, norm = backbone.stack.embed, first_norm(backbone.stack)
        assert isinstance(embed, spec.Embed)
        return spec.Vocabulary(dense=spec.Dense(activation_of(backbone.stack), embed.width, norm), bias=True)

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.lm(read(self.read, states, ids, self.config))
        target = self.target("labels", targets, states.batch)
        return MaskedLMOutput(
            loss=None if target is None else cross_entropy(logits, target), logits=states.batch.unpack(logits)
        )


class CausalLM(LanguageModel):
    """Logits ``[rows, width, vocabulary]`` of the next token; ``labels [rows, width]`` are shifted here.

    The loss that keeps experts in balance is of all tokens of a pass at once and cannot be split: as a part of a step
    it is weighed by the pass's share of the labels.
    """

    task = "causal-lm"
    suffix = "ForCausalLM"
    kinds = TEXT
    like = "masked-lm"

    @classmethod
    def names(cls, recipe: spec.Vocabulary) -> dict[str, str | Stored]:
        rows = super().names(recipe)
        if isinstance(recipe.read, spec.DecoderTokens):
            # A decoder alone has the table of both stacks under its own name.
            rows["backbone.tokens"] = Stored("decoder.embed_tokens", also=("shared", "encoder.embed_tokens"))
        return rows

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        if isinstance(backbone, spec.Encoder):
            # An encoder writes text only where its config can make it causal.
            if not hasattr(config, "is_decoder"):
                return None
            return own.get("masked-lm") or MaskedLM.recipe(backbone, config, own)
        read = spec.DecoderTokens() if isinstance(backbone, spec.EncoderDecoder) else spec.EveryToken()
        return spec.Vocabulary(read)

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


class Seq2SeqLM(LanguageModel):
    """Logits ``[rows, width, vocabulary]`` of the decoder; ``labels`` stand at the decoder's positions."""

    task = "seq2seq-lm"
    suffix = "ForConditionalGeneration"
    kinds = (spec.EncoderDecoder,)

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        return spec.Vocabulary()

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        logits = self.lm(read(self.read, states, ids, self.config))
        target = self.target("labels", targets, states.batch)
        return Seq2SeqLMOutput(
            loss=None if target is None else cross_entropy(logits, target), logits=states.batch.unpack(logits)
        )


def first_norm(stack: spec.Stack) -> spec.Norm:
    """The norm of the stack's layers."""
    layer = stack.layers[0]
    return layer.norm if isinstance(layer, spec.ConvolvedLayer) else layer.residual.norm


def activation_of(stack: spec.Stack) -> str:
    """The activation of the stack's layers, or where they have several, the usual one of such heads."""
    layer = stack.layers[0]
    mlp = layer.layer.mlp if isinstance(layer, spec.ConvolvedLayer) else layer.mlp
    return mlp.activation if isinstance(mlp, spec.Mlp | spec.GatedMlp) else "gelu"
