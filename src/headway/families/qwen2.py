"""Qwen2 (Yang et al. 2024, arXiv:2407.10671): LLaMA with biased queries, keys and values."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.families import llama
from headway.registry import Family, register
from headway.windows import windows


class Qwen2Config(PreTrainedConfig):
    model_type = "qwen2"
    vocab_size: int = 151936
    hidden_size: int = 4096
    intermediate_size: int = 22016
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = 32
    hidden_act: str = "silu"
    max_position_embeddings: int = 32768
    rms_norm_eps: float = 1e-6
    rope_parameters: dict[str, Any] | None = None
    use_sliding_window: bool = False
    sliding_window: int | None = 4096
    max_window_layers: int = 28
    layer_types: list[str] | None = None
    attention_dropout: float = 0.0
    tie_word_embeddings: bool = False


def architecture(c: Any) -> spec.Decoder:
    attention = replace(llama.attention(c), bias=True, out_bias=False)
    return llama.decoder(c, spec.windowed(llama.layer(c, attention), windows(c)))


register(Family(Qwen2Config, "Qwen2", architecture, llama.llama_names))
