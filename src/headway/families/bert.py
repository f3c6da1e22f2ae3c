"""BERT (Devlin et al. 2018, arXiv:1810.04805): post-norm encoder with learned positions, segments and a pooler."""

from typing import Any

from headway.config import PreTrainedConfig
from headway.names import Names, each
from headway.registry import Family, register
from headway.spec import (
    Attention,
    Dense,
    Embed,
    Encoder,
    Layer,
    LayerNorm,
    Learned,
    Mlp,
    Pooled,
    Pooler,
    PostNorm,
    Predict,
    Recipe,
    SentencePairPretraining,
    Stack,
    TokenTypes,
    Vocabulary,
    repeat,
)


class BertConfig(PreTrainedConfig):
    model_type = "bert"

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    classifier_dropout: float | None = None
    is_decoder: bool = False
    add_cross_attention: bool = False
    use_cache: bool = True


def stack(c: Any, positions: Learned, types: TokenTypes | None, width: int | None = None) -> Stack:
    """The stack that BERT and its descendants share."""
    norm, heads = LayerNorm(c.layer_norm_eps), c.num_attention_heads
    attention = Attention(heads, c.hidden_size // heads, causal=c.is_decoder, dropout=c.attention_probs_dropout_prob)
    look_back = Attention(heads, c.hidden_size // heads, dropout=c.attention_probs_dropout_prob)
    cross = look_back if c.add_cross_attention else None
    mlp = Mlp(c.intermediate_size, c.hidden_act)
    layer = Layer(attention, mlp, PostNorm(norm), cross, c.hidden_dropout_prob)
    embed = Embed(c.vocab_size, width or c.hidden_size, positions, types, norm, dropout=c.hidden_dropout_prob)
    return Stack(c.hidden_size, embed, repeat(layer, c.num_hidden_layers))


def architecture(c: BertConfig) -> Encoder:
    return Encoder(stack(c, Learned(c.max_position_embeddings), TokenTypes(c.type_vocab_size)), Pooler(c.hidden_size))


def heads(c: BertConfig) -> dict[str, Recipe]:
    tie = "always" if c.tie_word_embeddings else "never"
    lm = Vocabulary(dense=Dense(c.hidden_act, norm=LayerNorm(c.layer_norm_eps)), bias=True, tie=tie)
    return {"masked-lm": lm, "pretraining": SentencePairPretraining(lm, Predict(Pooled()))}


# Rows of the embeddings and of one layer, as BERT's descendants spell them too.
EMBED = {
    "embed.tokens": "embeddings.word_embeddings",
    "embed.positions": "embeddings.position_embeddings",
    "embed.types": "embeddings.token_type_embeddings",
    "embed.norm": "embeddings.LayerNorm",
}
LAYER = {
    **{f"attn.{x[0]}": f"attention.self.{x}" for x in ("query", "key", "value")},
    "attn.o": "attention.output.dense",
    "attn_norm": "attention.output.LayerNorm",
    **{f"cross.{x[0]}": f"crossattention.self.{x}" for x in ("query", "key", "value")},
    "cross.o": "crossattention.output.dense",
    "cross_norm": "crossattention.output.LayerNorm",
    "mlp.up": "intermediate.dense",
    "mlp.down": "output.dense",
    "mlp_norm": "output.LayerNorm",
}
LM = {
    "lm.hidden.dense": "cls.predictions.transform.dense",
    "lm.hidden.norm": "cls.predictions.transform.LayerNorm",
    "lm.decoder.weight": "cls.predictions.decoder.weight",
}


def lm_bias(c: Any, path: str) -> tuple[str, dict[str, tuple[str, ...]], tuple[str, ...]]:
    """The name of the vocabulary's bias, its further names, and names that hold nothing.

    It stands beside the output layer and in it. Where the layer is not tied the two may differ, and the layer's counts.
    """
    beside, within = f"{path}.bias", f"{path}.decoder.bias"
    return (beside, {beside: (within,)}, ()) if c.tie_word_embeddings else (within, {within: (beside,)}, (beside,))


def names(c: BertConfig) -> Names:
    bias, also, unread = lm_bias(c, "cls.predictions")
    lm = {**LM, "lm.decoder.bias": bias}
    return Names(
        "bert",
        {**EMBED, **each("layers.{i}", "encoder.layer.{i}", LAYER), "pooler.dense": "pooler.dense"},
        heads={"masked-lm": lm, "pretraining": {**lm, "pair": "cls.seq_relationship"}},
        also=also,
        ignore=("embeddings.position_ids", *unread),
    )


register(Family(BertConfig, "Bert", architecture, names, heads, {"causal-lm": "BertLMHeadModel"}))
