"""GPT-NeoX (Black et al. 2022, arXiv:2204.06745): rotary positions, parts side by side, queries to values fused."""

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.layouts import FusedGroups
from headway.names import Names, Stored, each
from headway.registry import Family, register
from headway.rope import rotary


class GPTNeoXConfig(PreTrainedConfig):
    model_type = "gpt_neox"
    vocab_size: int = 50432
    hidden_size: int = 6144
    num_hidden_layers: int = 44
    num_attention_heads: int = 64
    intermediate_size: int = 24576
    hidden_act: str = "gelu"
    rotary_pct: float = 0.25
    rotary_emb_base: float = 10000.0
    rope_parameters: dict[str, Any] | None = None
    attention_dropout: float = 0.0
    hidden_dropout: float = 0.0
    classifier_dropout: float = 0.1
    max_position_embeddings: int = 2048
    layer_norm_eps: float = 1e-5
    use_parallel_residual: bool = True
    attention_bias: bool = True
    tie_word_embeddings: bool = False
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 2


def architecture(c: Any) -> spec.Decoder:
    heads, norm = c.num_attention_heads, spec.LayerNorm(c.layer_norm_eps)
    width = spec.head_width(c.hidden_size, heads)
    attention = spec.Attention(
        heads, width, bias=c.attention_bias, causal=True, position=rotary(c, width), dropout=c.attention_dropout
    )
    residual = spec.ParallelNorms(norm) if c.use_parallel_residual else spec.PreNorm(norm)
    layer = spec.Layer(attention, spec.Mlp(c.intermediate_size, c.hidden_act), residual, dropout=c.hidden_dropout)
    embed = spec.Embed(c.vocab_size, c.hidden_size, dropout=c.hidden_dropout)
    return spec.Decoder(spec.Stack(c.hidden_size, embed, spec.repeat(layer, c.num_hidden_layers), norm))


def rows(attention: str, fused: FusedGroups) -> dict[Any, Any]:
    """Names of a layer."""
    return {
        ("attn.q", "attn.k", "attn.v"): Stored(f"{attention}.query_key_value", fused),
        "attn.o": f"{attention}.dense",
        "attn_norm": "input_layernorm",
        "mlp.up": "mlp.dense_h_to_4h",
        "mlp.down": "mlp.dense_4h_to_h",
        "mlp_norm": "post_attention_layernorm",
    }


def names(c: Any) -> Names:
    layer = rows("attention", FusedGroups(spec.head_width(c.hidden_size, c.num_attention_heads)))
    buffers = ("attention.bias", "attention.masked_bias", "attention.rotary_emb.inv_freq")
    return Names(
        "gpt_neox",
        {"embed.tokens": "embed_in", "norm": "final_layer_norm", **each("layers.{i}", "layers.{i}", layer)},
        heads={"causal-lm": {"lm.decoder": Stored("embed_out", also=("lm_head",))}},
        ignore=tuple(f"layers.{{i}}.{buffer}" for buffer in buffers),
    )


register(Family(GPTNeoXConfig, "GPTNeoX", architecture, names))
