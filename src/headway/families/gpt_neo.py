"""GPT-Neo (Black et al. 2021): GPT-2 whose scores are not scaled and whose layers see all or a window in turn."""

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.families import gpt2
from headway.names import Names
from headway.registry import Family, register
from headway.windows import windows


class GPTNeoConfig(PreTrainedConfig):
    model_type = "gpt_neo"
    vocab_size: int = 50257
    max_position_embeddings: int = 2048
    hidden_size: int = 2048
    num_layers: int = 24
    attention_types: list[Any] = [[["global", "local"], 12]]  # noqa: RUF012 - the base copies it
    num_heads: int = 16
    intermediate_size: int | None = None
    window_size: int = 256
    activation_function: str = "gelu_new"
    resid_dropout: float = 0.0
    embed_dropout: float = 0.0
    attention_dropout: float = 0.0
    classifier_dropout: float = 0.1
    layer_norm_epsilon: float = 1e-5
    bos_token_id: int | None = 50256
    eos_token_id: int | list[int] | None = 50256


def architecture(c: Any) -> spec.Decoder:
    heads, residual = c.num_heads, spec.PreNorm(spec.LayerNorm(c.layer_norm_epsilon))
    width, dropout = spec.head_width(c.hidden_size, heads), c.attention_dropout
    attention = spec.Attention(heads, width, bias=False, out_bias=True, causal=True, scale=1.0, dropout=dropout)
    layers = spec.windowed(spec.Layer(attention, gpt2.mlp(c), residual, dropout=c.resid_dropout), windows(c))
    return gpt2.decoder(c, layers, spec.Learned(c.max_position_embeddings), c.embed_dropout)


def names(c: Any) -> Names:
    layer = {
        **{f"attn.{x}": f"attn.attention.{x}_proj" for x in "qkv"},
        "attn.o": "attn.attention.out_proj",
        "attn_norm": "ln_1",
        "mlp.up": "mlp.c_fc",
        "mlp.down": "mlp.c_proj",
        "mlp_norm": "ln_2",
    }
    return gpt2.named(layer, "attn.attention")


register(Family(GPTNeoConfig, "GPTNeo", architecture, names))
