"""Image classification: the labels of an image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from headway.pipelines.image import ImageOptions, ImagePipeline
from headway.pipelines.options import option
from headway.pipelines.scores import FUNCTIONS, apply, function_of, ranked
from headway.pipelines.windows import Array


@dataclass(frozen=True, kw_only=True)
class ImageClassificationOptions(ImageOptions):
    """How many labels to list, and by which scores."""

    top_k: int | None = option(5, "labels to list, best first, or 'all'", int, none="all")
    function_to_apply: str | None = option(
        None, "from logits to scores; by default what the model's config says", str, choices=FUNCTIONS
    )


class ImageClassificationPipeline(ImagePipeline):
    """Labels of images: a list of ``{"label", "score"}``, best first."""

    task = "image-classification"
    auto = "AutoModelForImageClassification"
    summary = "the labels of an image"
    Options = ImageClassificationOptions

    def select(self, output: Any, options: Any) -> Iterable[Any]:
        logits: Iterable[Any] = output["logits"]
        return logits

    def answer(self, output: Array, options: Any) -> list[dict[str, Any]]:
        config = self.model.config
        scores = apply(options.function_to_apply or function_of(config, len(output)), output)
        return ranked(config, scores, options.top_k)
