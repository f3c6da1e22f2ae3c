"""CLIP's image tower (Radford et al. 2021, arXiv:2103.00020): a ViT that is normalised before its layers."""

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.families import clip_text, vit
from headway.names import Names
from headway.registry import Family, register


class VisionTowerConfig(PreTrainedConfig):
    """What the configs of CLIP's image tower and its descendants have in common."""

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    num_channels: int = 3
    image_size: int = 224
    patch_size: int = 32
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    attention_dropout: float = 0.0


class CLIPVisionConfig(VisionTowerConfig):
    model_type = "clip_vision_model"
    projection_dim: int = 512


def architecture(c: Any) -> spec.VisionEncoder:
    norm = spec.LayerNorm(c.layer_norm_eps)
    stack = spec.Stack(c.hidden_size, vit.patches(c, bias=False, norm=norm), clip_text.layers(c))
    return spec.VisionEncoder(stack, pooler=spec.Pooler(c.hidden_size, None, norm=norm))


def heads(c: Any) -> dict[str, spec.Recipe]:
    return {"projection": spec.Project(c.projection_dim), "image-classification": spec.Predict(spec.Mean(1))}


def names(c: Any) -> Names:
    rows = {
        "embed.class_tokens.0": "embeddings.class_embedding",
        "embed.project": "embeddings.patch_embedding",
        "embed.positions": "embeddings.position_embedding.weight",
        "embed.norm": "pre_layrnorm",
        **clip_text.LAYERS,
        "pooler.norm": "post_layernorm",
    }
    return Names(
        "vision_model", rows, {"projection": {"out": "visual_projection"}}, ignore=("embeddings.position_ids",)
    )


register(Family(CLIPVisionConfig, "CLIPVision", architecture, names, heads))
