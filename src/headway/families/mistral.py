"""Mistral (Jiang et al. 2023, arXiv:2310.06825): LLaMA with a sliding window."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.families import llama
from headway.registry import Family, register
from headway.windows import windows


class MistralConfig(llama.LlamaConfig):
    model_type = "mistral"
    intermediate_size: int = 14336
    num_key_value_heads: int | None = 8
    max_position_embeddings: int = 4096 * 32
    sliding_window: int | None = 4096


def attention(c: Any) -> spec.Attention:
    return replace(llama.attention(c), bias=False)


def architecture(c: Any) -> spec.Decoder:
    return llama.decoder(c, spec.windowed(llama.layer(c, attention(c)), windows(c)))


register(Family(MistralConfig, "Mistral", architecture, llama.names))
