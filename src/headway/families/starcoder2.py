"""StarCoder2 (Lozhkov et al. 2024, arXiv:2402.19173): rotary decoder with LayerNorm, a plain MLP and biases."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.families import llama
from headway.names import Names
from headway.registry import Family, register
from headway.windows import windows


class Starcoder2Config(PreTrainedConfig):
    model_type = "starcoder2"
    vocab_size: int = 49152
    hidden_size: int = 3072
    intermediate_size: int = 12288
    num_hidden_layers: int = 30
    num_attention_heads: int = 24
    num_key_value_heads: int | None = 2
    hidden_act: str = "gelu_pytorch_tanh"
    max_position_embeddings: int = 4096
    initializer_range: float = 0.018042
    norm_epsilon: float = 1e-5
    rope_parameters: dict[str, Any] | None = None
    sliding_window: int | None = None
    attention_dropout: float = 0.0
    residual_dropout: float = 0.0
    embedding_dropout: float = 0.0
    use_bias: bool = True
    bos_token_id: int | None = 50256
    eos_token_id: int | list[int] | None = 50256


def architecture(c: Any) -> spec.Decoder:
    attention = replace(llama.attention(c), bias=c.use_bias)
    norm, mlp = spec.LayerNorm(c.norm_epsilon), spec.Mlp(c.intermediate_size, c.hidden_act, c.use_bias)
    layer = spec.Layer(attention, mlp, spec.PreNorm(norm), dropout=c.residual_dropout)
    embed = spec.Embed(c.vocab_size, c.hidden_size, dropout=c.embedding_dropout)
    return spec.Decoder(spec.Stack(c.hidden_size, embed, spec.windowed(layer, windows(c)), norm))


def names(c: Any) -> Names:
    return llama.names(c, llama.LAYER | {"mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj"})


register(Family(Starcoder2Config, "Starcoder2", architecture, names))
