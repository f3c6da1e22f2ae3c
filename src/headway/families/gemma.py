"""Gemma (Gemma Team 2024, arXiv:2403.08295): LLaMA with scaled token vectors, zero-centred norms and wide heads."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.families import llama
from headway.registry import Family, register


class GemmaConfig(llama.LlamaConfig):
    model_type = "gemma"
    vocab_size: int = 256000
    hidden_size: int = 3072
    intermediate_size: int = 24576
    num_hidden_layers: int = 28
    num_attention_heads: int = 16
    num_key_value_heads: int | None = 16
    head_dim: int | None = 256
    hidden_act: str = "gelu_pytorch_tanh"
    hidden_activation: str | None = None
    max_position_embeddings: int = 8192
    use_bidirectional_attention: bool | None = None
    tie_word_embeddings: bool = True
    pad_token_id: int | None = 0
    bos_token_id: int | None = 2
    eos_token_id: int | list[int] | None = 1


def norm(c: Any) -> spec.Norm:
    return spec.ZeroCenteredRMSNorm(c.rms_norm_eps)


def attention(c: Any, theta: float = 10000.0, layer_type: str | None = None) -> spec.Attention:
    return replace(llama.attention(c, theta, layer_type), causal=not c.use_bidirectional_attention)


def layer(c: Any, attention: spec.Attention, residual: type[spec.PreNorm | spec.Sandwich]) -> spec.Layer:
    # Early files say "gelu" and mean its approximation.
    act = "gelu_pytorch_tanh" if c.hidden_act == "gelu" else c.hidden_act
    return spec.Layer(attention, spec.GatedMlp(c.intermediate_size, c.hidden_activation or act), residual(norm(c)))


def decoder(c: Any, layers: tuple[spec.Layer, ...]) -> spec.Decoder:
    embed = spec.Embed(c.vocab_size, c.hidden_size, scale=spec.Rounded(c.hidden_size**0.5))
    return spec.Decoder(spec.Stack(c.hidden_size, embed, layers, norm(c)))


def architecture(c: Any) -> spec.Decoder:
    return decoder(c, spec.repeat(layer(c, attention(c), spec.PreNorm), c.num_hidden_layers))


register(Family(GemmaConfig, "Gemma", architecture, llama.names))
