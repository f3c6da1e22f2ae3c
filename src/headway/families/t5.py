"""T5 (Raffel et al. 2020, arXiv:1910.10683): pre-norm encoder-decoder with bucketed relative positions."""

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.names import Names, each, stacks
from headway.registry import Family, register


class T5Config(PreTrainedConfig):
    model_type = "t5"
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


def stack(c: Any, count: int, causal: bool = False) -> spec.Stack:
    norm, drop = spec.RMSNorm(c.layer_norm_epsilon), c.dropout_rate
    buckets, distance = c.relative_attention_num_buckets, c.relative_attention_max_distance
    bias = spec.RelativeBias(c.num_heads, buckets, distance, bidirectional=not causal)
    gated, _, act = c.feed_forward_proj.rpartition("-")
    # "gated-gelu" has always meant the tanh approximation.
    act = "gelu_new" if gated and act == "gelu" else act
    mlp = (spec.GatedMlp if gated else spec.Mlp)(c.d_ff, act, bias=False, dropout=drop)
    attention = spec.Attention(c.num_heads, c.d_kv, bias=False, scale=1.0, position=bias, dropout=drop)
    layer = spec.Layer(attention, mlp, spec.PreNorm(norm), dropout=drop)
    layers = spec.repeat(spec.decoding(layer) if causal else layer, count)
    return spec.Stack(c.d_model, spec.Embed(c.vocab_size, c.d_model, dropout=drop), layers, norm, dropout=drop)


def architecture(c: Any) -> spec.EncoderDecoder:
    return spec.EncoderDecoder(stack(c, c.num_layers), stack(c, c.num_decoder_layers or c.num_layers, causal=True))


def heads(c: Any) -> dict[str, spec.Recipe]:
    # Version 1.0 scales its states before the tied table; later ones have a table of their own. Some files of those
    # say that they are tied all the same: then what lies in the file decides.
    scaled = c.tie_word_embeddings if c.scale_decoder_outputs is None else c.scale_decoder_outputs
    lm = spec.Vocabulary(tie="always" if scaled else "if_absent", scale=c.d_model**-0.5 if scaled else 1.0)
    return {"seq2seq-lm": lm}


def part(number: int, ours: str, theirs: str, linears: dict[str, str]) -> dict[str, str]:
    return {**each(ours, f"layer.{number}.{theirs}", linears), f"{ours}_norm": f"layer.{number}.layer_norm"}


def names(c: Any) -> Names:
    own = {"positions.{i}.table": "block.{i}.layer.0.SelfAttention.relative_attention_bias", "norm": "final_layer_norm"}
    linears = {x: x for x in "qkvo"}
    mlp = {"gate": "wi_0", "up": "wi_1" if c.feed_forward_proj.startswith("gated") else "wi", "down": "wo"}
    attn, cross = part(0, "attn", "SelfAttention", linears), part(1, "cross", "EncDecAttention", linears)
    layers = attn | part(1, "mlp", "DenseReluDense", mlp), attn | cross | part(2, "mlp", "DenseReluDense", mlp)
    encoder, decoder = ({**own, **each("layers.{i}", "block.{i}", layer)} for layer in layers)
    return Names(
        "transformer",
        stacks(encoder, decoder, shared=True),
        prefixes=dict.fromkeys(("seq2seq-lm", "question-answering", "causal-lm"), ""),
        ignore=("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",),
    )


register(Family(T5Config, "T5", architecture, names, heads))
