"""Gemma 2 (Gemma Team 2024, arXiv:2408.00118): Gemma with norms around each part, softcaps, and a window every other
layer."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.families import gemma, llama
from headway.names import Names
from headway.registry import Family, register
from headway.windows import windows


class Gemma2Config(gemma.GemmaConfig):
    model_type = "gemma2"
    hidden_size: int = 2304
    intermediate_size: int = 9216
    num_hidden_layers: int = 26
    num_attention_heads: int = 8
    num_key_value_heads: int | None = 4
    hidden_activation: str | None = "gelu_pytorch_tanh"
    query_pre_attn_scalar: float = 256
    sliding_window: int | None = 4096
    layer_types: list[str] | None = None
    attn_logit_softcapping: float | None = 50.0
    final_logit_softcapping: float | None = 30.0


def architecture(c: Any) -> spec.Decoder:
    scale, cap = c.query_pre_attn_scalar**-0.5, c.attn_logit_softcapping
    layer = gemma.layer(c, replace(gemma.attention(c), scale=scale, softcap=cap), spec.Sandwich)
    return gemma.decoder(c, spec.windowed(layer, windows(c, "LG")))


def heads(c: Any) -> dict[str, spec.Recipe]:
    return {"causal-lm": spec.Vocabulary(softcap=c.final_logit_softcapping)}


LAYER = {
    **llama.LAYER,
    "attn_out_norm": "post_attention_layernorm",
    "mlp_norm": "pre_feedforward_layernorm",
    "mlp_out_norm": "post_feedforward_layernorm",
}


def names(c: Any) -> Names:
    return llama.names(c, LAYER)


register(Family(Gemma2Config, "Gemma2", architecture, names, heads))
