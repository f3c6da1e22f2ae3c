"""DeiT (Touvron et al. 2020, arXiv:2012.12877): ViT with a second token that learns from a teacher."""

from dataclasses import replace
from functools import partial
from typing import Any

from headway.families import vit
from headway.layouts import Reshaped
from headway.names import Names, Stored
from headway.registry import Family, register


class DeiTConfig(vit.ViTConfig):
    model_type = "deit"


def names(c: Any) -> Names:
    table = vit.names(c)
    token = {"embed.class_tokens.1": Stored("embeddings.distillation_token", Reshaped(2))}
    return replace(table, backbone={**table.backbone, **token})


register(Family(DeiTConfig, "DeiT", partial(vit.architecture, tokens=2), names))
