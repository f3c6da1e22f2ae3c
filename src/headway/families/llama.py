"""LLaMA (Touvron et al. 2023, arXiv:2302.13971): pre-norm decoder with rotary positions and a gated MLP."""

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


def architecture(
    c: Any, bias: bool | None = None, window: int | None = None, mlp: Any = None, theta: float = 10000.0
) -> spec.Decoder:
    heads, bias = c.num_attention_heads, c.attention_bias if bias is None else bias
    width = c.head_dim or spec.head_width(c.hidden_size, heads)
    attention = spec.Attention(
        heads,
        width,
        c.num_key_value_heads or heads,
        bias,
        causal=True,
        window=window,
        dropout=c.attention_dropout,
        position=rotary(c, width, theta),
    )
    norm, mlp = spec.RMSNorm(c.rms_norm_eps), mlp or spec.GatedMlp(c.intermediate_size, c.hidden_act, c.mlp_bias)
    layers = spec.repeat(spec.Layer(attention, mlp, spec.PreNorm(norm)), c.num_hidden_layers)
    return spec.Decoder(spec.Stack(c.hidden_size, spec.Embed(c.vocab_size, c.hidden_size), layers, norm))


MLP = {f"mlp.{x}": f"mlp.{x}_proj" for x in ("gate", "up", "down")}


def names(c: Any, mlp: Any = None, question_prefix: str = "model") -> Names:
    layer = {
        **{f"attn.{x}": f"self_attn.{x}_proj" for x in "qkvo"},
        "attn_norm": "input_layernorm",
        "mlp_norm": "post_attention_layernorm",
        **(mlp or MLP),
    }
    return Names(
        "model",
        {"embed.tokens": "embed_tokens", "norm": "norm", **each("layers.{i}", "layers.{i}", layer)},
        heads={"token-classification": {"out": "score"}},
        prefixes={"question-answering": question_prefix},
        ignore=("layers.{i}.self_attn.rotary_emb.inv_freq",),
    )


def llama_names(c: Any) -> Names:
    return names(c, question_prefix="transformer")


register(Family(LlamaConfig, "Llama", architecture, llama_names))
