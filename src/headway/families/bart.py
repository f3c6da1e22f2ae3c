"""BART (Lewis et al. 2019, arXiv:1910.13461): post-norm encoder-decoder with learned positions."""

from typing import Any, ClassVar

from headway import spec
from headway.config import PreTrainedConfig
from headway.layouts import Reshaped
from headway.names import Names, Stored, each
from headway.registry import Family, register


class BartConfig(PreTrainedConfig):
    model_type = "bart"
    attribute_map: ClassVar[dict[str, str]] = {
        "hidden_size": "d_model",
        "num_attention_heads": "encoder_attention_heads",
        "num_hidden_layers": "encoder_layers",
    }

    vocab_size: int = 50265
    max_position_embeddings: int = 1024
    encoder_layers: int = 12
    encoder_ffn_dim: int = 4096
    encoder_attention_heads: int = 16
    decoder_layers: int = 12
    decoder_ffn_dim: int = 4096
    decoder_attention_heads: int = 16
    activation_function: str = "gelu"
    d_model: int = 1024
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    init_std: float = 0.02
    classifier_dropout: float = 0.0
    scale_embedding: bool = False
    is_encoder_decoder: bool = True
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 2
    decoder_start_token_id: int | None = 2
    forced_eos_token_id: int | None = 2
    id2label: dict[int, str] | None = {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}  # noqa: RUF012 - the base copies it


def stack(c: Any, side: str, causal: bool) -> spec.Stack:
    norm, heads, dropout = spec.LayerNorm(1e-5), getattr(c, f"{side}_attention_heads"), c.attention_dropout
    width = spec.head_width(c.d_model, heads)
    cross = spec.Attention(heads, width, dropout=dropout) if causal else None
    mlp = spec.Mlp(getattr(c, f"{side}_ffn_dim"), c.activation_function, dropout=c.activation_dropout)
    attention = spec.Attention(heads, width, causal=causal, dropout=dropout)
    layer = spec.Layer(attention, mlp, spec.PostNorm(norm), cross, c.dropout)
    # The first two rows of the position table are never read.
    positions = spec.Learned(c.max_position_embeddings + 2, offset=2)
    scale = c.d_model**0.5 if c.scale_embedding else 1.0
    embed = spec.Embed(c.vocab_size, c.d_model, positions, None, norm, scale, c.dropout)
    return spec.Stack(c.d_model, embed, spec.repeat(layer, getattr(c, f"{side}_layers")))


def architecture(c: Any) -> spec.EncoderDecoder:
    encoder, decoder = stack(c, "encoder", causal=False), stack(c, "decoder", causal=True)
    return spec.EncoderDecoder(encoder, decoder, shared=c.tie_word_embeddings)


def heads(c: Any) -> dict[str, spec.Recipe]:
    return {
        "sequence-classification": spec.Predict(spec.LastEos(), spec.Dense("tanh"), dropout=c.classifier_dropout),
        "seq2seq-lm": spec.Vocabulary(offset=True),
        "causal-lm": spec.Vocabulary(spec.DecoderTokens()),
    }


def attention(ours: str, theirs: str) -> dict[str, str]:
    rows = {f"{ours}.{x}": f"{theirs}.{x}_proj" for x in "qkv"}
    return {**rows, f"{ours}.o": f"{theirs}.out_proj", f"{ours}_norm": f"{theirs}_layer_norm"}


def names(c: Any) -> Names:
    layer = {**attention("attn", "self_attn"), "mlp.up": "fc1", "mlp.down": "fc2", "mlp_norm": "final_layer_norm"}
    embed = {"positions": "embed_positions", "norm": "layernorm_embedding"}
    rows: dict[str, Any] = {"tokens": Stored("shared", also=("encoder.embed_tokens", "decoder.embed_tokens"))}
    lm: dict[str, Any] = {"lm.decoder": "lm_head", "lm.offset": Stored("final_logits_bias", Reshaped(1))}
    causal: dict[str, Any] = {"lm.decoder": "lm_head"}
    if c.tie_word_embeddings:
        others = ("model.shared", "model.encoder.embed_tokens")
        causal["backbone.tokens"] = Stored("model.decoder.embed_tokens", also=others)
    else:
        embed["tokens"] = "embed_tokens"
    for side, parts in (("encoder", layer), ("decoder", {**layer, **attention("cross", "encoder_attn")})):
        rows |= each(f"{side}.embed", side, embed) | each(f"{side}.layers.{{i}}", f"{side}.layers.{{i}}", parts)
    ignore = ("encoder.version", "decoder.version", "shared.weight")
    return Names("model", rows, heads={"seq2seq-lm": lm, "causal-lm": causal}, ignore=ignore)


register(Family(BartConfig, "Bart", architecture, names, heads))
