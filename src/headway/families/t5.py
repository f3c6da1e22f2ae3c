"""T5 (Raffel et al. 2020, arXiv:1910.10683): pre-norm encoder-decoder with bucketed relative positions."""

from typing import Any, ClassVar

from headway import spec
from headway.config import PreTrainedConfig
from headway.names import Names, Stored, each
from headway.registry import Family, register


class T5Config(PreTrainedConfig):
    model_type = "t5"
    attribute_map: ClassVar[dict[str, str]] = {
        "hidden_size": "d_model",
        "num_attention_heads": "num_heads",
        "num_hidden_layers": "num_layers",
        "head_dim": "d_kv",
    }

    vocab_size: int = 32128
    d_model: int = 512
    d_kv: int = 64
    d_ff: int = 2048
    num_layers: int = 6
    num_decoder_layers: int | None = None
    num_heads: int = 8
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    dropout_rate: float = 0.1
    layer_norm_epsilon: float = 1e-6
    initializer_factor: float = 1.0
    feed_forward_proj: str = "relu"
    is_encoder_decoder: bool = True
    classifier_dropout: float = 0.0
    scale_decoder_outputs: bool | None = None
    pad_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 1


def stack(c: Any, count: int, causal: bool) -> spec.Stack:
    norm, attend = spec.RMSNorm(c.layer_norm_epsilon), {"bias": False, "scale": 1.0, "dropout": c.dropout_rate}
    buckets, distance = c.relative_attention_num_buckets, c.relative_attention_max_distance
    bias = spec.RelativeBias(c.num_heads, buckets, distance, bidirectional=not causal)
    gated, _, act = c.feed_forward_proj.rpartition("-")
    # "gated-gelu" has always meant the tanh approximation.
    act = "gelu_new" if gated and act == "gelu" else act
    mlp = (spec.GatedMlp if gated else spec.Mlp)(c.d_ff, act, bias=False, dropout=c.dropout_rate)
    attention = spec.Attention(c.num_heads, c.d_kv, causal=causal, position=bias, **attend)
    cross = spec.Attention(c.num_heads, c.d_kv, **attend) if causal else None
    layer = spec.Layer(attention, mlp, spec.PreNorm(norm), cross, c.dropout_rate)
    embed = spec.Embed(c.vocab_size, c.d_model, dropout=c.dropout_rate)
    return spec.Stack(c.d_model, embed, spec.repeat(layer, count), norm, dropout=c.dropout_rate)


def architecture(c: Any) -> spec.EncoderDecoder:
    depth = c.num_layers if c.num_decoder_layers is None else c.num_decoder_layers
    return spec.EncoderDecoder(stack(c, c.num_layers, causal=False), stack(c, depth, causal=True))


def heads(c: Any) -> dict[str, spec.Recipe]:
    # Version 1.0 scales its states before the tied table; later ones have a table of their own. Some files of those
    # say that they are tied all the same: then what lies in the file decides.
    scaled = c.tie_word_embeddings if c.scale_decoder_outputs is None else c.scale_decoder_outputs
    lm = spec.Vocabulary(tie="always" if scaled else "if_absent", scale=c.d_model**-0.5 if scaled else 1.0)
    return {"seq2seq-lm": lm}


def rows(side: str, up: dict[str, str]) -> dict[str, str]:
    """Names of one side: each layer's parts are numbered, and the first layer holds the bias of all."""
    mlp = "layer.1" if side == "encoder" else "layer.2"
    layer = {f"attn.{x}": f"layer.0.SelfAttention.{x}" for x in "qkvo"} | {"attn_norm": "layer.0.layer_norm"}
    layer |= {f"mlp.{x}": f"{mlp}.DenseReluDense.{y}" for x, y in up.items()} | {"mlp_norm": f"{mlp}.layer_norm"}
    if side == "decoder":
        layer |= {f"cross.{x}": f"layer.1.EncDecAttention.{x}" for x in "qkvo"} | {"cross_norm": "layer.1.layer_norm"}
    bias = "block.0.layer.0.SelfAttention.relative_attention_bias"
    return each(
        side, side, {**each("layers.{i}", "block.{i}", layer), "positions.0.table": bias, "norm": "final_layer_norm"}
    )


def names(c: Any) -> Names:
    up = {"gate": "wi_0", "up": "wi_1"} if c.feed_forward_proj.startswith("gated") else {"up": "wi"}
    up["down"] = "wo"
    tokens = Stored("shared", also=("encoder.embed_tokens", "decoder.embed_tokens"))
    return Names(
        "transformer",
        {"tokens": tokens, **rows("encoder", up), **rows("decoder", up)},
        prefixes=dict.fromkeys(("seq2seq-lm", "question-answering", "causal-lm"), ""),
        ignore=("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",),
    )


register(Family(T5Config, "T5", architecture, names, heads))
