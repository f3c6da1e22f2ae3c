"""Falcon (Almazrouei et al. 2023, arXiv:2311.16867): shared keys and values; one norm, two, or parts in sequence."""

from typing import Any, ClassVar

from headway import spec
from headway.config import PreTrainedConfig
from headway.families import bloom
from headway.layouts import FusedGroups
from headway.names import Names
from headway.registry import Family, register
from headway.rope import rotary


class FalconConfig(PreTrainedConfig):
    model_type = "falcon"
    attribute_map: ClassVar[dict[str, str]] = {"n_embed": "hidden_size"}

    vocab_size: int = 65024
    hidden_size: int = 4544
    num_hidden_layers: int = 32
    num_attention_heads: int = 71
    num_kv_heads: int | None = None
    num_ln_in_parallel_attn: int | None = None
    ffn_hidden_size: int | None = None
    activation: str = "gelu"
    layer_norm_epsilon: float = 1e-5
    hidden_dropout: float = 0.0
    attention_dropout: float = 0.0
    alibi: bool = False
    new_decoder_architecture: bool = False
    multi_query: bool = True
    parallel_attn: bool = True
    bias: bool = False
    max_position_embeddings: int = 2048
    rope_parameters: dict[str, Any] | None = None
    bos_token_id: int | None = 11
    eos_token_id: int | list[int] | None = 11


def kv_heads(c: Any) -> int:
    if c.new_decoder_architecture:
        return c.num_kv_heads or c.num_attention_heads
    return 1 if c.multi_query else c.num_attention_heads


def residual(c: Any) -> spec.Residual:
    norm = spec.LayerNorm(c.layer_norm_epsilon)
    if c.new_decoder_architecture and c.num_ln_in_parallel_attn != 1:
        return spec.ParallelNorms(norm)
    return spec.Parallel(norm) if c.new_decoder_architecture or c.parallel_attn else spec.PreNorm(norm)


def architecture(c: Any) -> spec.Decoder:
    heads, arrangement = c.num_attention_heads, residual(c)
    width = spec.head_width(c.hidden_size, heads)
    alibi = spec.RoundedAlibi(spec.alibi_slopes(heads), width**-0.5) if c.alibi else None
    position = alibi or rotary(c, width)
    attention = spec.Attention(
        heads, width, kv_heads(c), c.bias, causal=True, position=position, dropout=c.attention_dropout
    )
    mlp = spec.Mlp(c.ffn_hidden_size or 4 * c.hidden_size, c.activation, c.bias)
    layer = spec.Layer(attention, mlp, arrangement, dropout=c.hidden_dropout)
    embed = spec.Embed(c.vocab_size, c.hidden_size)
    return spec.Decoder(spec.Stack(c.hidden_size, embed, spec.repeat(layer, c.num_hidden_layers), arrangement.norm))


def names(c: Any) -> Names:
    heads = c.num_attention_heads
    rows = bloom.rows(FusedGroups(spec.head_width(c.hidden_size, heads), heads // kv_heads(c)))
    if isinstance(residual(c), spec.ParallelNorms):
        rows |= {"layers.{i}.attn_norm": "h.{i}.ln_attn", "layers.{i}.mlp_norm": "h.{i}.ln_mlp"}
    return Names("transformer", rows, ignore=("h.{i}.self_attention.rotary_emb.inv_freq",))


register(Family(FalconConfig, "Falcon", architecture, names))
