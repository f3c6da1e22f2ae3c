"""Qwen3 (Yang et al. 2025, arXiv:2505.09388): Qwen2 with normed queries and keys in place of biases."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.families import llama, qwen2
from headway.names import Names
from headway.registry import Family, register
from headway.windows import windows


class Qwen3Config(qwen2.Qwen2Config):
    model_type = "qwen3"
    head_dim: int | None = 128
    attention_bias: bool = False


def attention(c: Any) -> spec.Attention:
    return replace(llama.attention(c), qk_norm=spec.RMSNorm(c.rms_norm_eps))


def architecture(c: Any) -> spec.Decoder:
    return llama.decoder(c, spec.windowed(llama.layer(c, attention(c)), windows(c)))


NORMS = {f"attn.{x}_norm": f"self_attn.{x}_norm" for x in "qk"}


def names(c: Any) -> Names:
    return llama.names(c, llama.LAYER | NORMS, question_prefix="transformer")


register(Family(Qwen3Config, "Qwen3", architecture, names))
