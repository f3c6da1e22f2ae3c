"""Heads that read images, and those that bring a row to a vector for comparing."""

from __future__ import annotations

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.tasks.base import Recipes, Task, summary


class Contrast(Task):
    """Cosines of each text and each image."""

    task = "zero-shot-image-classification"
    suffix = "ForZeroShotImageClassification"
    kinds = (spec.TwoTowers,)
    targets = ()

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        return None


class ImageClassification(Task):
    """A label for an image."""

    task = "image-classification"
    suffix = "ForImageClassification"
    kinds = (spec.VisionEncoder,)

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        return summary(backbone, config)

    @classmethod
    def names(cls, recipe: spec.Predict) -> dict[str, str]:
        return {"out": "classifier"}


class TaughtImageClassification(Task):
    """A label for an image, by the vote of two heads: one that learned from labels and one from a teacher."""

    task = "image-classification-with-teacher"
    suffix = "ForImageClassificationWithTeacher"
    kinds = (spec.VisionEncoder,)
    answers = "image-classification"

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        return None

    @classmethod
    def names(cls, recipe: spec.Taught) -> dict[str, str]:
        return {"own": "cls_classifier", "taught": "distillation_classifier"}


class Projection(Task):
    """A row's vector, for families whose checkpoints hold the layer."""

    task = "projection"
    suffix = "ModelWithProjection"
    kinds = (spec.Encoder, spec.Decoder, spec.VisionEncoder)
    targets = ()

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        return None
