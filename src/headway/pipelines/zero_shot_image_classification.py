"""Zero-shot image classification: labels that the model never saw, each as a sentence that an image may fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headway.errors import InputError
from headway.pipelines.candidates import CandidateOptions, CandidatePipeline
from headway.pipelines.image import ImageOptions, ImagePipeline
from headway.pipelines.options import option
from headway.pipelines.text import shown

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class ZeroShotImageClassificationOptions(CandidateOptions, ImageOptions):
    """The labels, and how they are asked for."""

    hypothesis_template: str = option("This is a photo of {}.", "a sentence with {} where a label goes", str)
    tokenizer_kwargs: Mapping[str, Any] | None = option(None, "further arguments of the tokenizer")


class ZeroShotImageClassificationPipeline(CandidatePipeline, ImagePipeline):
    """Labels of one's own, compared with images (Radford et al. 2021, arXiv:2103.00020).

    The answer is a list of ``{"score", "label"}``, best first: shares among the labels, or for models that judge each
    label by itself (SigLIP) its own probability. Labels are a list, or a text with commas.
    """

    task = "zero-shot-image-classification"
    auto = "AutoModelForZeroShotImageClassification"
    parts = ("tokenizer", "image_processor")
    summary = "the labels of one's own choice that an image bears"
    Options = ZeroShotImageClassificationOptions

    def look(self, pixels: Tensor) -> Any:
        return self.model.get_image_features(pixel_values=pixels)

    def select(self, output: Any, options: Any) -> Iterable[Any]:
        features: Iterable[Any] = output["pooler_output"]
        return features

    def run(self, items: Sequence[Any], options: Any) -> list[Any]:
        import torch

        labels, texts = options.labels, self._texts(options)
        with torch.inference_mode():
            features = self.model.get_text_features(**texts)["pooler_output"]
            images = torch.from_numpy(np.stack(self.forward(items, options))).to(features) if items else features[:0]
            logits = self.model.compare(features, images).t()
            scores = self.model.head.scores(logits.float()).cpu().numpy()
        orders = np.argsort(-scores, axis=-1, kind="stable").tolist()
        return [
            [{"score": float(row[at]), "label": labels[at]} for at in order]
            for row, order in zip(scores, orders, strict=True)
        ]

    def _texts(self, options: Any) -> Any:
        """The sentences of all labels, as the model's inputs."""
        # A tokenizer that tells nothing of padding is of a model that reads texts padded to their full length.
        reads_padding = "attention_mask" not in self.tokenizer.model_input_names
        arguments = {"padding": "max_length" if reads_padding else True, **(options.tokenizer_kwargs or {})}
        encoding = self.tokenizer(options.hypotheses, return_tensors="pt", verbose=False, **arguments)
        width = encoding["input_ids"].shape[1]
        limit = self.model.config.text_config.max_position_embeddings
        if width > limit:
            raise InputError(
                f"The longest label has {width} tokens with its sentence, but the model takes {limit}; shorten "
                f"{shown(max(options.labels, key=len))}."
            )
        return encoding.to(self.device)
