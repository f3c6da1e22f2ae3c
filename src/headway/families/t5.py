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
    use_cache: bool = True
    classifier_dropout: float = 0.0
    scale_decoder_outputs: bool | None = None
    pad_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 1


def stack(c: Any, count: int, causal: bool) -> spec.Stack:
    norm, attend = spec.RMSNorm(c.layer_norm_epsilon), {"bias": False, "scale": 1.0, "dropout": c.dropout_rate}
    bias = spec.RelativeBias(
        c.num_heads, c.relative_attention_num_buckets, c.relative_attention_max_distance, bidirectional=not causal
    )
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


def names(c: Any) -> Names:
    def layer(mlp: int) -> dict[str, str]:
        return {
            **{f"attn.{x}": f"layer.0.SelfAttention.{x}" for x in "qkvo"},
            "attn_norm": "layer.0.layer_norm",
            **{f"mlp.{x}": f"layer.{mlp}.DenseReluDense.{y}" for x, y in up.items()},
            "mlp_norm": f"layer.{mlp}.layer_norm",
        }

    up = {"gate": "wi_0", "up": "wi_1"} if c.feed_forward_proj.startswith("gated") else {"up": "wi"}
    up["down"] = "wo"
    cross = {f"cross.{x}": f"layer.1.EncDecAttention.{x}" for x in "qkvo"} | {"cross_norm": "layer.1.layer_norm"}
    bias = "block.0.layer.0.SelfAttention.relative_attention_bias"
    tables = ("encoder.embed_tokens", "decoder.embed_tokens")
    rows: dict[str, Any] = {"tokens": Stored("shared", also=tables)}
    for side, parts in (("encoder", layer(1)), ("decoder", {**layer(2), **cross})):
        rows |= each(f"{side}.layers.{{i}}", f"{side}.block.{{i}}", parts)
        rows |= {f"{side}.positions.0.table": f"{side}.{bias}", f"{side}.norm": f"{side}.final_layer_norm"}
    return Names(
        "transformer",
        rows,
        prefixes={"seq2seq-lm": "", "question-answering": "", "causal-lm": ""},
        ignore=("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",),
    )


register(Family(T5Config, "T5", architecture, names, heads))
