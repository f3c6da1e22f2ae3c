"""SigLIP's image tower (Zhai et al. 2023, arXiv:2303.15343): a ViT without class token, pooled by attention."""

from typing import Any

from headway import spec
from headway.families import clip_text, clip_vision, vit
from headway.layouts import FusedRows, Reshaped
from headway.names import Names, Stored, each
from headway.registry import Family, register


class SiglipVisionConfig(clip_vision.VisionTowerConfig):
    model_type = "siglip_vision_model"
    patch_size: int = 16
    hidden_act: str = "gelu_pytorch_tanh"
    layer_norm_eps: float = 1e-6
    vision_use_head: bool = True


def architecture(c: Any) -> spec.VisionEncoder:
    norm, mlp = spec.LayerNorm(c.layer_norm_eps), spec.Mlp(c.intermediate_size, c.hidden_act)
    pooler = spec.ProbePooler(c.hidden_size, c.num_attention_heads, mlp, norm) if c.vision_use_head else None
    stack = spec.Stack(c.hidden_size, vit.patches(c, tokens=0), clip_text.layers(c))
    return spec.VisionEncoder(stack, norm, pooler)


def heads(c: Any) -> dict[str, spec.Recipe]:
    return {"image-classification": spec.Predict(spec.Mean())}


def names(c: Any) -> Names:
    pooler: dict[Any, Any] = {
        tuple(f"{x}.{leaf}" for x in "qkv"): Stored(f"attention.in_proj_{leaf}", FusedRows((c.hidden_size,) * 3))
        for leaf in ("weight", "bias")
    }
    pooler |= {"probe": Stored("probe", Reshaped(2)), "o": "attention.out_proj", "norm": "layernorm"}
    pooler |= {"mlp.up": "mlp.fc1", "mlp.down": "mlp.fc2"}
    rows = {
        "embed.project": "embeddings.patch_embedding",
        "embed.positions": "embeddings.position_embedding.weight",
        **clip_text.LAYERS,
        "final_norm": "post_layernorm",
        **each("pooler", "head", pooler),
    }
    return Names("vision_model", rows, ignore=("embeddings.position_ids",))


register(Family(SiglipVisionConfig, "SiglipVision", architecture, names, heads))
