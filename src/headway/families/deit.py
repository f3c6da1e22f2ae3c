"""DeiT (Touvron et al. 2020, arXiv:2012.12877): ViT with a second token that learns from a teacher."""

from dataclasses import replace
from functools import partial
from typing import Any

from headway import spec
from headway.families import vit
from headway.layouts import Reshaped
from headway.names import Names, Stored
from headway.registry import Family, register


class DeiTConfig(vit.ViTConfig):
    model_type = "deit"


def heads(c: Any) -> dict[str, spec.Recipe]:
    return {"image-classification-with-teacher": spec.Taught(spec.FirstToken(), spec.NthToken(1))}


def names(c: Any) -> Names:
    table = vit.names(c)
    token = {"embed.class_tokens.1": Stored("embeddings.distillation_token", Reshaped(2))}
    # Of a file with two heads, the one that learned from labels serves alone as well.
    out = {"image-classification": {"out": Stored("classifier", also=("cls_classifier",))}}
    return replace(table, backbone={**table.backbone, **token}, heads=out)


register(Family(DeiTConfig, "DeiT", partial(vit.architecture, tokens=2), names, heads))
