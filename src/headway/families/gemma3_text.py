"""Gemma 3's text model (Gemma Team 2025, arXiv:2503.19786): Gemma 2 with normed queries and keys, and rotary bases by
kind of layer."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.families import gemma, gemma2, llama, qwen3
from headway.names import Names
from headway.registry import Family, register
from headway.windows import FULL, SLIDING, layer_types, windows

PATTERN, THETA = "LLLLLG", {SLIDING: 1e4, FULL: 1e6}


class Gemma3TextConfig(gemma2.Gemma2Config):
    model_type = "gemma3_text"
    vocab_size: int = 262208
    max_position_embeddings: int = 131072
    rope_local_base_freq: float = 1e4
    use_bidirectional_attention: bool | None = False
    attn_logit_softcapping: float | None = None  # read by none of its layers
    final_logit_softcapping: float | None = None


def architecture(c: Any) -> spec.Decoder:
    def layer(kind: str, window: int | None) -> spec.Layer:
        if c.use_bidirectional_attention and window is not None:
            window = window // 2 + 1  # the file counts both sides
        attention = replace(
            gemma.attention(c, THETA[kind], kind),
            scale=c.query_pre_attn_scalar**-0.5,
            qk_norm=gemma.norm(c),
            window=window,
        )
        return gemma.layer(c, attention, spec.Sandwich)

    return gemma.decoder(c, tuple(map(layer, layer_types(c, PATTERN), windows(c, PATTERN))))


def names(c: Any) -> Names:
    return llama.names(c, gemma2.LAYER | qwen3.NORMS)


classes = {"causal-lm": "Gemma3ForCausalLM"}
register(Family(Gemma3TextConfig, "Gemma3Text", architecture, names, gemma2.heads, classes))
