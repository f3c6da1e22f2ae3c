"""Mamba 2 (Dao and Gu 2024, arXiv:2405.21060): a decoder of state spaces, without attention and without MLPs."""

from math import inf
from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.errors import ConfigError
from headway.names import Names, Stored, each
from headway.registry import Family, register


class Mamba2Config(PreTrainedConfig):
    model_type = "mamba2"
    vocab_size: int = 32768
    hidden_size: int = 4096
    num_hidden_layers: int = 64
    num_heads: int = 128
    head_dim: int = 64
    state_size: int = 128
    n_groups: int = 8
    expand: int = 2
    conv_kernel: int = 4
    chunk_size: int = 256
    hidden_act: str = "silu"
    layer_norm_epsilon: float = 1e-5
    use_bias: bool = False
    use_conv_bias: bool = True
    residual_in_fp32: bool = True
    time_step_min: float = 0.001
    time_step_max: float = 0.1
    time_step_floor: float = 1e-4
    time_step_limit: list[float] | tuple[float, float] = (0.0, inf)
    initializer_range: float = 0.1
    tie_word_embeddings: bool = False
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 2


def architecture(c: Any) -> spec.Decoder:
    if c.num_heads * c.head_dim != c.expand * c.hidden_size:
        raise ConfigError("num_heads * head_dim is not expand * hidden_size, as it must be; change one of the four.")
    norm, (low, high) = spec.RMSNorm(c.layer_norm_epsilon), c.time_step_limit
    mixer = spec.StateSpace(
        *(c.num_heads, c.head_dim, c.state_size, c.n_groups, norm, c.conv_kernel, c.chunk_size, c.hidden_act),
        bias=c.use_bias,
        conv_bias=c.use_conv_bias,
        step_limits=(low, high),
        first_steps=(max(c.time_step_min, c.time_step_floor), c.time_step_max),
    )
    layer = spec.Layer(mixer, None, spec.Float32PreNorm(norm) if c.residual_in_fp32 else spec.PreNorm(norm))
    layers, embed = spec.repeat(layer, c.num_hidden_layers), spec.Embed(c.vocab_size, c.hidden_size)
    return spec.Decoder(spec.Stack(c.hidden_size, embed, layers, norm, records="outputs"))


def names(c: Any) -> Names:
    same = ("A_log", "D", "dt_bias", "in_proj", "norm", "out_proj")
    layer = {"attn_norm": "norm", "attn.conv": "mixer.conv1d", **{f"attn.{name}": f"mixer.{name}" for name in same}}
    tokens = Stored("embeddings", also=("embedding",))
    return Names("backbone", {"embed.tokens": tokens, "norm": "norm_f", **each("layers.{i}", "layers.{i}", layer)})


register(Family(Mamba2Config, "Mamba2", architecture, names))
