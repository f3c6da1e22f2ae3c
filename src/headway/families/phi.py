"""Phi (Li et al. 2023, arXiv:2309.05463): both parts of a layer over one norm, half of each head rotated."""

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.names import Names, each
from headway.registry import Family, register
from headway.rope import rotary


class PhiConfig(PreTrainedConfig):
    model_type = "phi"
    vocab_size: int = 51200
    hidden_size: int = 2048
    intermediate_size: int = 8192
    num_hidden_layers: int = 24
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    resid_pdrop: float = 0.0
    embd_pdrop: float = 0.0
    attention_dropout: float = 0.0
    hidden_act: str = "gelu_new"
    max_position_embeddings: int = 2048
    layer_norm_eps: float = 1e-5
    partial_rotary_factor: float = 0.5
    rope_parameters: dict[str, Any] | None = None
    qk_layernorm: bool = False
    tie_word_embeddings: bool = False
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2


def architecture(c: Any) -> spec.Decoder:
    heads, norm = c.num_attention_heads, spec.LayerNorm(c.layer_norm_eps)
    width, kv_heads = spec.head_width(c.hidden_size, heads), c.num_key_value_heads or heads
    position, dropout, qk_norm = rotary(c, width), c.attention_dropout, norm if c.qk_layernorm else None
    attention = spec.Attention(heads, width, kv_heads, causal=True, position=position, dropout=dropout, qk_norm=qk_norm)
    mlp = spec.Mlp(c.intermediate_size, c.hidden_act)
    layer = spec.Layer(attention, mlp, spec.Parallel(norm), dropout=c.resid_pdrop)
    embed = spec.Embed(c.vocab_size, c.hidden_size, dropout=c.embd_pdrop)
    return spec.Decoder(spec.Stack(c.hidden_size, embed, spec.repeat(layer, c.num_hidden_layers), norm))


def heads(c: Any) -> dict[str, spec.Recipe]:
    return {"causal-lm": spec.Vocabulary(bias=True)}


def names(c: Any) -> Names:
    layer = {
        **{f"attn.{x}": f"self_attn.{x}_proj" for x in "qkv"},
        **{f"attn.{x}_norm": f"self_attn.{x}_layernorm" for x in "qk"},
        "attn.o": "self_attn.dense",
        "attn_norm": "input_layernorm",
        "mlp.up": "mlp.fc1",
        "mlp.down": "mlp.fc2",
    }
    return Names(
        "model",
        {"embed.tokens": "embed_tokens", "norm": "final_layernorm", **each("layers.{i}", "layers.{i}", layer)},
        heads={"token-classification": {"out": "score"}},
        ignore=("layers.{i}.self_attn.rotary_emb.inv_freq",),
    )


register(Family(PhiConfig, "Phi", architecture, names, heads))
