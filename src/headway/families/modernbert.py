"""ModernBERT (Warner et al. 2024, arXiv:2412.13663): pre-norm encoder with local layers, rotary and without biases."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.layouts import FusedRows
from headway.names import Names, Stored, each
from headway.registry import Family, register
from headway.rope import rotary
from headway.windows import FULL, SLIDING, layer_types, windows


class ModernBertConfig(PreTrainedConfig):
    model_type = "modernbert"
    vocab_size: int = 50368
    hidden_size: int = 768
    intermediate_size: int = 1152
    num_hidden_layers: int = 22
    num_attention_heads: int = 12
    hidden_activation: str = "gelu"
    max_position_embeddings: int = 8192
    norm_eps: float = 1e-5
    norm_bias: bool = False
    attention_bias: bool = False
    attention_dropout: float = 0.0
    layer_types: list[str] | None = None
    rope_parameters: dict[str, Any] | None = None
    local_attention: int = 128
    embedding_dropout: float = 0.0
    mlp_bias: bool = False
    mlp_dropout: float = 0.0
    decoder_bias: bool = True
    classifier_pooling: str = "cls"
    classifier_dropout: float = 0.0
    classifier_bias: bool = False
    classifier_activation: str = "gelu"
    pad_token_id: int | None = 50283
    bos_token_id: int | None = 50281
    eos_token_id: int | list[int] | None = 50282


def norm(c: Any) -> spec.Norm:
    return (spec.LayerNorm if c.norm_bias else spec.BiasFreeLayerNorm)(c.norm_eps)


def architecture(c: Any) -> spec.Encoder:
    theta, width = {FULL: 160000.0, SLIDING: 10000.0}, spec.head_width(c.hidden_size, c.num_attention_heads)
    attention = spec.Attention(c.num_attention_heads, bias=c.attention_bias, dropout=c.attention_dropout)
    mlp = spec.GatedMlp(c.intermediate_size, c.hidden_activation, c.mlp_bias, c.mlp_dropout)
    turns = (rotary(c, width, theta[kind], kind) for kind in layer_types(c, "GLL"))
    mixers = map(lambda turn, window: replace(attention, position=turn, window=window), turns, windows(c, "GLL"))
    first, *others = (spec.Layer(mixer, mlp, spec.PreNorm(norm(c))) for mixer in mixers)
    layers = (replace(first, residual=spec.FirstPreNorm(norm(c))), *others)
    embed = spec.Embed(c.vocab_size, c.hidden_size, norm=norm(c), dropout=c.embedding_dropout)
    return spec.Encoder(spec.Stack(c.hidden_size, embed, layers, norm(c)))


def heads(c: Any) -> dict[str, spec.Recipe]:
    dense = spec.Dense(c.classifier_activation, norm=norm(c), bias=c.classifier_bias)
    token = spec.Predict(spec.EveryToken(), dense, dropout=c.classifier_dropout)
    row = replace(token, read=spec.Mean() if c.classifier_pooling == "mean" else spec.FirstToken())
    lm = spec.Vocabulary(dense=dense, bias=c.decoder_bias)
    return {"sequence-classification": row, "token-classification": token, "question-answering": token, "masked-lm": lm}


def names(c: Any) -> Names:
    layer = {
        ("attn.q", "attn.k", "attn.v"): Stored("attn.Wqkv", FusedRows((c.hidden_size,) * 3)),
        ("mlp.gate", "mlp.up"): Stored("mlp.Wi", FusedRows((c.intermediate_size,) * 2)),
        "{attn.o,mlp.down,attn_norm,mlp_norm}": "{attn.Wo,mlp.Wo,attn_norm,mlp_norm}",
    }
    embed, hidden = {"embed.{tokens,norm}": "embeddings.{tok_embeddings,norm}"}, "head.{dense,norm}"
    rows = {task: {"hidden.{dense,norm}": hidden, "out": "classifier"} for task in heads(c)}
    rows["masked-lm"] = {"lm.hidden.{dense,norm}": hidden, "lm.decoder": "decoder"}
    return Names("model", {**embed, **each("layers.{i}", "layers.{i}", layer), "norm": "final_norm"}, rows)


register(Family(ModernBertConfig, "ModernBert", architecture, names, heads))
