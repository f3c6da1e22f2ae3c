"""Heads that give words, and the objectives that families were trained with where these are more than that."""

from __future__ import annotations

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.layouts import Reshaped
from headway.names import Stored
from headway.tasks.base import TEXT, Recipes, Task


class LanguageModel(Task):
    """What the three have in common."""

    @classmethod
    def names(cls, recipe: spec.Vocabulary) -> dict[str, str | Stored]:
        rows: dict[str, str | Stored] = {"lm.decoder": "lm_head", "lm.offset": Stored("final_logits_bias", Reshaped(1))}
        if recipe.dense is not None:
            rows |= {"lm.hidden.dense": "lm_head.dense", "lm.hidden.norm": "lm_head.layer_norm"}
            rows |= {"lm.decoder": "lm_head.decoder"}
        return rows


class MaskedLM(LanguageModel):
    """The words behind masks."""

    task = "masked-lm"
    suffix = "ForMaskedLM"
    kinds = (spec.Encoder,)

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        assert isinstance(backbone, spec.Encoder)
        embed, norm = backbone.stack.embed, _first_norm(backbone.stack)
        assert isinstance(embed, spec.Embed)
        return spec.Vocabulary(dense=spec.Dense(_activation(backbone.stack), embed.width, norm), bias=True)


class CausalLM(LanguageModel):
    """The next token."""

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


class Seq2SeqLM(LanguageModel):
    """A text from a text."""

    task = "seq2seq-lm"
    suffix = "ForConditionalGeneration"
    auto = "ForSeq2SeqLM"
    kinds = (spec.EncoderDecoder,)

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        return spec.Vocabulary()


class PreTraining(Task):
    """Made of what the family's recipe says: ``SentencePairPretraining`` or ``ReplacedTokenDetection``."""

    task = "pretraining"
    suffix = "ForPreTraining"
    kinds = (spec.Encoder,)

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        return None

    @classmethod
    def targets_of(cls, recipe: Any) -> tuple[str, ...]:
        return ("labels", recipe.label) if isinstance(recipe, spec.SentencePairPretraining) else cls.targets


def vocabulary_of(backbone: spec.Backbone) -> int:
    """Entries of the backbone's token table."""
    assert not isinstance(backbone, spec.TwoTowers)
    embed = backbone.decoder.embed if isinstance(backbone, spec.EncoderDecoder) else backbone.stack.embed
    assert isinstance(embed, spec.Embed)
    return embed.vocabulary


def _first_norm(stack: spec.Stack) -> spec.Norm:
    """The norm of the stack's layers."""
    layer = stack.layers[0]
    return layer.norm if isinstance(layer, spec.ConvolvedLayer) else layer.residual.norm


def _activation(stack: spec.Stack) -> str:
    """The activation of the stack's layers, or where they have several, the usual one of such heads."""
    layer = stack.layers[0]
    mlp = layer.layer.mlp if isinstance(layer, spec.ConvolvedLayer) else layer.mlp
    return mlp.activation if isinstance(mlp, spec.Mlp | spec.GatedMlp) else "gelu"
