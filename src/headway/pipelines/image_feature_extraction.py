"""Image feature extraction: the states of a backbone for every patch of an image, or one vector an image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headway.errors import InputError, WeightsError
from headway.pipelines.feature_extraction import outline
from headway.pipelines.image import ImageOptions, ImagePipeline
from headway.pipelines.options import option
from headway.pipelines.windows import Array

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class ImageFeatureExtractionOptions(ImageOptions):
    """Which features, and into what to put the numbers."""

    pool: bool = option(False, "one vector an image, the pooler's, rather than the states", bool)
    return_tensors: bool = option(False, "torch tensors rather than nested lists")
    image_processor_kwargs: Mapping[str, Any] | None = option(None, "settings of the image processor")


class ImageFeatureExtractionPipeline(ImagePipeline):
    """States of images: ``[1, tokens, channels]``, or with ``pool`` ``[1, channels]``."""

    task = "image-feature-extraction"
    auto = "AutoModel"
    summary = "the states of an image's patches, or one vector for an image"
    Options = ImageFeatureExtractionOptions

    def look(self, pixels: Tensor) -> Any:
        # A model of texts and images has features of an image alone too.
        return getattr(self.model, "get_image_features", self.model)(pixel_values=pixels)

    def select(self, output: Any, options: Any) -> Iterable[Any]:
        states: Iterable[Any] = self._pooled(output) if options.pool else output[0]
        return states

    def answer(self, output: Array, options: Any) -> Any:
        if not options.return_tensors:
            return output[None].tolist()
        import torch

        return torch.from_numpy(output[None].copy())

    def _pooled(self, output: Any) -> Any:
        report = getattr(self.model, "load_report", None)
        if report is not None and any(name.startswith("backbone.pooler.") for name in report.new):
            raise WeightsError(f"{report.checkpoint} has no trained pooler; leave out pool=True and take the states.")
        if "pooler_output" not in output:
            raise InputError(f"{type(self.model).__name__} has no pooler; leave out pool=True and take the states.")
        return output["pooler_output"]

    def settings(self, options: Any) -> Mapping[str, Any]:
        return options.image_processor_kwargs or {}

    def table(self, answer: Any) -> list[dict[str, Any]]:
        return [outline(answer)]
