"""Phi-3 (Abdin et al. 2024, arXiv:2404.14219): LLaMA whose files hold fused projections."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.families import llama
from headway.layouts import FusedRows
from headway.names import Names, Stored
from headway.registry import Family, register
from headway.windows import windows


class Phi3Config(PreTrainedConfig):
    model_type = "phi3"
    vocab_size: int = 32064
    hidden_size: int = 3072
    intermediate_size: int = 8192
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    hidden_act: str = "silu"
    max_position_embeddings: int = 4096
    original_max_position_embeddings: int = 4096
    rms_norm_eps: float = 1e-5
    rope_parameters: dict[str, Any] | None = None
    sliding_window: int | None = None
    attention_dropout: float = 0.0
    resid_pdrop: float = 0.0
    tie_word_embeddings: bool = False
    pad_token_id: int | None = 32000
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 32000


def architecture(c: Any) -> spec.Decoder:
    layer = replace(llama.layer(c, replace(llama.attention(c), bias=False)), dropout=c.resid_pdrop)
    return llama.decoder(c, spec.windowed(layer, windows(c)))


def names(c: Any) -> Names:
    attention = llama.attention(c)
    inner, kv_inner = (heads * (attention.head_width or 0) for heads in (attention.heads, attention.kv_heads or 0))
    layer = {
        ("attn.q", "attn.k", "attn.v"): Stored("self_attn.qkv_proj", FusedRows((inner, kv_inner, kv_inner))),
        ("mlp.gate", "mlp.up"): Stored("mlp.gate_up_proj", FusedRows((c.intermediate_size, c.intermediate_size))),
    }
    fused = {part for parts in layer for part in parts}
    return llama.names(c, {key: row for key, row in llama.LAYER.items() if key not in fused} | layer)


register(Family(Phi3Config, "Phi3", architecture, names))
