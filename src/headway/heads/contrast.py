"""Texts and images compared, as vectors of one width."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway import spec, tasks
from headway.config import PreTrainedConfig
from headway.errors import InputError
from headway.heads.base import Head
from headway.nn.layer import Scale
from headway.nn.linear import Linear
from headway.tasks import width_read


class Contrast(tasks.Contrast, Head):
    """Cosines of each text and each image; made of what the family's recipe says."""

    def __init__(self, config: PreTrainedConfig, recipe: Any, backbone: spec.Backbone) -> None:
        nn.Module.__init__(self)

    @classmethod
    def variant(cls, recipe: Any) -> type[Head]:
        return SoftmaxContrast if isinstance(recipe, spec.SoftmaxContrast) else SigmoidContrast

    def text_features(self, pooled: Tensor) -> Tensor:
        """A text's vector, of the images' width."""
        return pooled

    def image_features(self, pooled: Tensor) -> Tensor:
        """An image's vector, of the texts' width."""
        return pooled

    def logits(self, cosines: Tensor) -> Tensor:
        """``[texts, images]`` to ``[texts, images]``."""
        raise TypeError(f"{type(self).__name__} has no logits")

    def scores(self, logits: Tensor) -> Tensor:
        """``[images, texts]`` to the probabilities of the texts, alike."""
        raise TypeError(f"{type(self).__name__} has no scores")

    def loss(self, logits: Tensor, total: float | Tensor | None = None) -> Tensor:
        """The objective of a batch whose texts and images belong together in order.

        Every text is compared with every image of its pass, so the loss of a step in several passes is another one
        than that of the whole: a pass is weighed by its share of the ``total`` rows.

        Raises:
            InputError: more texts than images, or fewer.
        """
        if logits.shape[0] != logits.shape[1]:
            raise InputError(
                f"return_loss=True compares texts and images that belong together, but there are {logits.shape[0]} "
                f"texts and {logits.shape[1]} images; pass one text for each image."
            )
        loss = self._loss(logits.float())
        return loss if total is None else loss * len(logits) / total

    def _loss(self, logits: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} has no loss")


class SoftmaxContrast(Contrast):
    """Radford et al. 2021, arXiv:2103.00020."""

    def __init__(self, config: PreTrainedConfig, recipe: spec.SoftmaxContrast, backbone: spec.TwoTowers) -> None:
        super().__init__(config, recipe, backbone)
        self.text = Linear(width_read(spec.Pooled(), backbone.text), recipe.width, bias=False)
        self.image = Linear(width_read(spec.Pooled(), backbone.vision), recipe.width, bias=False)
        self.scale = Scale(recipe.scale)

    def text_features(self, pooled: Tensor) -> Tensor:
        projected: Tensor = self.text(pooled)
        return projected

    def image_features(self, pooled: Tensor) -> Tensor:
        projected: Tensor = self.image(pooled)
        return projected

    def logits(self, cosines: Tensor) -> Tensor:
        return cosines * self.scale.weight.exp()

    def scores(self, logits: Tensor) -> Tensor:
        return logits.softmax(-1)

    def _loss(self, logits: Tensor) -> Tensor:
        own = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, own) + F.cross_entropy(logits.t(), own)) / 2


class SigmoidContrast(Contrast):
    """Zhai et al. 2023, arXiv:2303.15343."""

    def __init__(self, config: PreTrainedConfig, recipe: spec.SigmoidContrast, backbone: spec.TwoTowers) -> None:
        super().__init__(config, recipe, backbone)
        self.scale = Scale(0.0)
        self.bias = nn.Parameter(torch.empty(()))

    def logits(self, cosines: Tensor) -> Tensor:
        return cosines * self.scale.weight.exp() + self.bias

    def scores(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def _loss(self, logits: Tensor) -> Tensor:
        sign = 2 * torch.eye(len(logits), device=logits.device) - 1
        return -F.logsigmoid(sign * logits).sum(-1).mean()
