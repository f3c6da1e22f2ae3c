"""SigLIP's text tower (Zhai et al. 2023, arXiv:2303.15343): CLIP's without a causal mask, read at its last token."""

from typing import Any

from headway import spec
from headway.families import clip_text
from headway.registry import Family, register


class SiglipTextConfig(clip_text.TextTowerConfig):
    model_type = "siglip_text_model"
    vocab_size: int = 32000
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_attention_heads: int = 12
    max_position_embeddings: int = 64
    hidden_act: str = "gelu_pytorch_tanh"
    layer_norm_eps: float = 1e-6
    projection_size: int | None = None


def architecture(c: Any) -> spec.Encoder:
    pooler = spec.Pooler(c.projection_size or c.hidden_size, "linear", spec.LastToken())
    return spec.Encoder(clip_text.stack(c), pooler, spec.LayerNorm(c.layer_norm_eps))


register(Family(SiglipTextConfig, "SiglipText", architecture, clip_text.names))
