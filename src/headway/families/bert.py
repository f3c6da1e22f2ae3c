"""BERT (Devlin et al. 2018, arXiv:1810.04805): post-norm encoder with learned positions, segments and a pooler."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.config import EncoderConfig
from headway.names import Names, each, language_model
from headway.registry import Family, register


class BertConfig(EncoderConfig):
    model_type = "bert"
    type_vocab_size: int = 2
    classifier_dropout: float | None = None
    is_decoder: bool = False
    add_cross_attention: bool = False


def layer(c: Any, mixer: spec.Mixer, cross: spec.Attention | None = None) -> spec.Layer:
    norm, mlp = spec.LayerNorm(c.layer_norm_eps), spec.Mlp(c.intermediate_size, c.hidden_act)
    return spec.Layer(mixer, mlp, spec.PostNorm(norm), cross, c.hidden_dropout_prob)


def embed(c: Any, positions: spec.Learned | None, types: int = 0, width: int | None = None) -> spec.Embed:
    norm, table = spec.LayerNorm(c.layer_norm_eps), spec.TokenTypes(types) if types else None
    return spec.Embed(c.vocab_size, width or c.hidden_size, positions, table, norm, dropout=c.hidden_dropout_prob)


def stack(c: Any, offset: int = 0, width: int | None = None) -> spec.Stack:
    """BERT's own stack; positions are read from row ``offset`` on, embeddings have ``width`` where theirs differs."""
    attention = spec.Attention(c.num_attention_heads, causal=c.is_decoder, dropout=c.attention_probs_dropout_prob)
    cross = replace(attention, causal=False) if c.add_cross_attention else None
    tokens = embed(c, spec.Learned(c.max_position_embeddings, offset), c.type_vocab_size, width)
    return spec.Stack(c.hidden_size, tokens, spec.repeat(layer(c, attention, cross), c.num_hidden_layers))


def architecture(c: Any) -> spec.Encoder:
    return spec.Encoder(stack(c), spec.Pooler())


def heads(c: Any) -> dict[str, spec.Recipe]:
    return {"pretraining": spec.SentencePairPretraining()}


EMBED = {"embed.{tokens,positions,types}": "embeddings.{word,position,token_type}_embeddings"}
EMBED |= {"embed.norm": "embeddings.LayerNorm"}
MLP = {"mlp.{up,down}": "{intermediate,output}.dense", "mlp_norm": "output.LayerNorm"}
LAYER = {
    "attn.{q,k,v}": "attention.self.{query,key,value}",
    "cross.{q,k,v}": "crossattention.self.{query,key,value}",
    "{attn,cross}.o": "{attention,crossattention}.output.dense",
    "{attn,cross}_norm": "{attention,crossattention}.output.LayerNorm",
    **MLP,
}
BACKBONE = {**EMBED, **each("layers.{i}", "encoder.layer.{i}", LAYER), "pooler.dense": "pooler.dense"}
IGNORED = ("embeddings.position_ids", "embeddings.token_type_ids")


def names(c: Any) -> Names:
    lm = language_model("cls.predictions", c.tie_word_embeddings, "transform.{dense,LayerNorm}")
    pretraining = {**lm, "pair": "cls.seq_relationship"}
    return Names("bert", BACKBONE, {"masked-lm": lm, "pretraining": pretraining}, ignore=IGNORED)


register(Family(BertConfig, "Bert", architecture, names, heads, {"causal-lm": "BertLMHeadModel"}))
