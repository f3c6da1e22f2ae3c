"""SigLIP (Zhai et al. 2023, arXiv:2303.15343): texts and images in one space, each pair judged by itself."""

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.families import clip, clip_text, siglip_text, siglip_vision
from headway.layouts import Reshaped
from headway.names import Names, Stored
from headway.registry import Family, register


class SiglipConfig(PreTrainedConfig):
    model_type = "siglip"
    text_config: siglip_text.SiglipTextConfig = siglip_text.SiglipTextConfig()
    vision_config: siglip_vision.SiglipVisionConfig = siglip_vision.SiglipVisionConfig()


def architecture(c: Any) -> spec.TwoTowers:
    return spec.TwoTowers(siglip_text.architecture(c.text_config), siglip_vision.architecture(c.vision_config))


def heads(c: Any) -> dict[str, spec.Recipe]:
    return {
        "zero-shot-image-classification": spec.SigmoidContrast(),
        "image-classification": spec.Predict(spec.Mean()),
    }


def names(c: Any) -> Names:
    rows = clip.towers(clip_text.names(c.text_config), siglip_vision.names(c.vision_config))
    head = {"scale.weight": Stored("logit_scale", Reshaped(1)), "bias": Stored("logit_bias", Reshaped(1))}
    return Names("", rows, {"zero-shot-image-classification": head}, ignore=clip.IGNORE)


CLASSES = {"zero-shot-image-classification": "SiglipModel"}
register(Family(SiglipConfig, "Siglip", architecture, names, heads, CLASSES))
