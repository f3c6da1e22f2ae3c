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


def architecture(c: Any) -> spec.Decoder:
    attention = replace(llama.attention(c), bias=False)
    return llama.decoder(c, spec.windowed(llama.layer(c, attention), windows(c)))


register(Family(MistralConfig, "Mistral", architecture, llama.names))
