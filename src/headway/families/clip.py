"""CLIP (Radford et al. 2021, arXiv:2103.00020): texts and images in one space."""

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.families import clip_text, clip_vision
from headway.names import Names, each
from headway.registry import Family, register


class CLIPConfig(PreTrainedConfig):
    model_type = "clip"
    text_config: clip_text.CLIPTextConfig = clip_text.CLIPTextConfig()
    vision_config: clip_vision.CLIPVisionConfig = clip_vision.CLIPVisionConfig()
    projection_dim: int = 512
    logit_scale_init_value: float = 2.6592


def architecture(c: Any) -> spec.TwoTowers:
    return spec.TwoTowers(clip_text.architecture(c.text_config), clip_vision.architecture(c.vision_config))


def heads(c: Any) -> dict[str, spec.Recipe]:
    return {
        "zero-shot-image-classification": spec.SoftmaxContrast(c.projection_dim, c.logit_scale_init_value),
        "image-classification": spec.Predict(spec.Mean(1)),
    }


def towers(text: Names, vision: Names) -> dict[Any, Any]:
    """Names of both backbones in one file."""
    return {**each("text", "text_model", text.backbone), **each("vision", "vision_model", vision.backbone)}


IGNORE = tuple(f"{tower}.embeddings.position_ids" for tower in ("text_model", "vision_model"))


def names(c: Any) -> Names:
    rows = towers(clip_text.names(c.text_config), clip_vision.names(c.vision_config))
    head = {"text": "text_projection", "image": "visual_projection", "scale.weight": "logit_scale"}
    return Names("", rows, {"zero-shot-image-classification": head}, ignore=IGNORE)


CLASSES = {"zero-shot-image-classification": "CLIPModel"}
register(Family(CLIPConfig, "CLIP", architecture, names, heads, CLASSES))
