"""LLaMA (Touvron et al. 2023, arXiv:2302.13971): pre-norm decoder with rotary positions and a gated MLP."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.names import Names, each
from headway.registry import Family, register
from headway.rope import rotary


class LlamaConfig(PreTrainedConfig):
    model_type = "llama"
    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    rms_norm_eps: float = 1e-6
    rope_parameters: dict[str, Any] | None = None
    attention_bias: bool = False
    attention_dropout: float = 0.0
    mlp_bias: bool = False
    tie_word_embeddings: bool = False
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2


def attention(c: Any, theta: float = 10000.0, layer_type: str | None = None) -> spec.Attention:
    """The attention of a layer, or of a layer of one kind; families change fields of it, and may lack some of ``c``."""
    bias, heads = getattr(c, "attention_bias", False), c.num_attention_heads
    width = getattr(c, "head_dim", None) or spec.head_width(c.hidden_size, heads)
    kv_heads, position = c.num_key_value_heads or heads, rotary(c, width, theta, layer_type)
    return spec.Attention(heads, width, kv_heads, bias, causal=True, dropout=c.attention_dropout, position=position)


def layer(c: Any, attention: spec.Mixer, mlp: spec.ChannelMixer | None = None) -> spec.Layer:
    """A layer with its two norms in front; the MLP is the gated one where a family brings none."""
    mlp = spec.GatedMlp(c.intermediate_size, c.hidden_act) if mlp is None else mlp
    return spec.Layer(attention, mlp, spec.PreNorm(spec.RMSNorm(c.rms_norm_eps)))


def decoder(c: Any, layers: tuple[spec.Layer, ...]) -> spec.Decoder:
    """Token vectors, the layers, and a last norm."""
    embed, norm = spec.Embed(c.vocab_size, c.hidden_size), spec.RMSNorm(c.rms_norm_eps)
    return spec.Decoder(spec.Stack(c.hidden_size, embed, layers, norm))


def architecture(c: Any) -> spec.Decoder:
    mlp = spec.GatedMlp(c.intermediate_size, c.hidden_act, c.mlp_bias)
    return decoder(c, spec.repeat(layer(c, attention(c), mlp), c.num_hidden_layers))


LAYER: dict[Any, Any] = {
    **{f"attn.{x}": f"self_attn.{x}_proj" for x in "qkvo"},
    **{f"mlp.{x}": f"mlp.{x}_proj" for x in ("gate", "up", "down")},
    "attn_norm": "input_layernorm",
    "mlp_norm": "post_attention_layernorm",
}


def names(c: Any, layer: Mapping[Any, Any] = LAYER, question_prefix: str = "model") -> Names:
    """The table of names, with ``layer`` the rows of one layer."""
    return Names(
        "model",
        {"embed.tokens": "embed_tokens", "norm": "norm", **each("layers.{i}", "layers.{i}", layer)},
        heads={"token-classification": {"out": "score"}},
        prefixes={"question-answering": question_prefix},
        ignore=("layers.{i}.self_attn.rotary_emb.inv_freq",),
    )


llama_names = partial(names, question_prefix="transformer")
register(Family(LlamaConfig, "Llama", architecture, llama_names))
