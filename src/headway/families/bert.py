"""BERT (Devlin et al. 2018, arXiv:1810.04805): post-norm encoder with learned positions, segments and a pooler."""

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.names import Names, Stored, each
from headway.registry import Family, register


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
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    classifier_dropout: float | None = None
    is_decoder: bool = False
    add_cross_attention: bool = False


def stack(c: Any, positions: spec.Learned | None = None, width: int | None = None) -> spec.Stack:
    """The stack that BERT and its descendants share; ``width`` is that of the embeddings where it differs."""
    norm, heads, dropout = spec.LayerNorm(c.layer_norm_eps), c.num_attention_heads, c.attention_probs_dropout_prob
    each_width = spec.head_width(c.hidden_size, heads)
    attention = spec.Attention(heads, each_width, causal=c.is_decoder, dropout=dropout)
    cross = spec.Attention(heads, each_width, dropout=dropout) if c.add_cross_attention else None
    mlp = spec.Mlp(c.intermediate_size, c.hidden_act)
    layer = spec.Layer(attention, mlp, spec.PostNorm(norm), cross, c.hidden_dropout_prob)
    positions, types = positions or spec.Learned(c.max_position_embeddings), spec.TokenTypes(c.type_vocab_size)
    embed = spec.Embed(c.vocab_size, width or c.hidden_size, positions, types, norm, dropout=c.hidden_dropout_prob)
    return spec.Stack(c.hidden_size, embed, spec.repeat(layer, c.num_hidden_layers))


def architecture(c: Any) -> spec.Encoder:
    return spec.Encoder(stack(c), spec.Pooler(c.hidden_size))


def heads(c: BertConfig) -> dict[str, spec.Recipe]:
    lm = spec.Vocabulary(dense=spec.Dense(c.hidden_act, norm=spec.LayerNorm(c.layer_norm_eps)), bias=True)
    return {"masked-lm": lm, "pretraining": spec.SentencePairPretraining(lm, spec.Predict(spec.Pooled()))}


def rows(ours: str, theirs: str) -> dict[str, str]:
    """Names of an attention and its norm."""
    inputs = {f"{ours}.{x[0]}": f"{theirs}.self.{x}" for x in ("query", "key", "value")}
    return {**inputs, f"{ours}.o": f"{theirs}.output.dense", f"{ours}_norm": f"{theirs}.output.LayerNorm"}


TABLES = {"tokens": "word", "positions": "position", "types": "token_type"}
EMBED = {f"embed.{ours}": f"embeddings.{theirs}_embeddings" for ours, theirs in TABLES.items()}
EMBED |= {"embed.norm": "embeddings.LayerNorm"}
MLP = {"mlp.up": "intermediate.dense", "mlp.down": "output.dense", "mlp_norm": "output.LayerNorm"}
LAYER = {**rows("attn", "attention"), **rows("cross", "crossattention"), **MLP}
LM = each("lm.hidden", "cls.predictions.transform", {"dense": "dense", "norm": "LayerNorm"})


def lm_output(c: Any, path: str) -> dict[str, str | Stored]:
    """Names of the layer to the vocabulary, whose bias stands beside it and in it; untied, the one in it counts."""
    beside, within = f"{path}.bias", f"{path}.decoder.bias"
    own, other = (beside, within) if c.tie_word_embeddings else (within, beside)
    return {"lm.decoder.weight": f"{path}.decoder.weight", "lm.decoder.bias": Stored(own, also=(other,))}


def names(c: BertConfig) -> Names:
    lm = {**LM, **lm_output(c, "cls.predictions")}
    return Names(
        "bert",
        {**EMBED, **each("layers.{i}", "encoder.layer.{i}", LAYER), "pooler.dense": "pooler.dense"},
        heads={"masked-lm": lm, "pretraining": {**lm, "pair": "cls.seq_relationship"}},
        ignore=("embeddings.position_ids",),
    )


register(Family(BertConfig, "Bert", architecture, names, heads, {"causal-lm": "BertLMHeadModel"}))
