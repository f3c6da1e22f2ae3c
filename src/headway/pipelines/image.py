"""``ImagePipeline``: pipelines that look at images: reading them as they come, and batched passes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headway.pipelines.base import Pipeline
from headway.pipelines.batches import TOKENS_ON_CPU, TOKENS_ON_GPU
from headway.pipelines.options import Options, option
from headway.pipelines.windows import Array
from headway.processing.opening import opened
from headway.progress import progress

if TYPE_CHECKING:
    from torch import Tensor

# Pixels that make about one token: most models cut patches of 16 x 16.
PATCH = 16 * 16


@dataclass(frozen=True, kw_only=True)
class ImageOptions(Options):
    """Options of every pipeline that looks at images."""

    timeout: float | None = option(None, "seconds to wait for an image from the web", float)


class ImagePipeline(Pipeline):
    """A pipeline that looks at images; a subclass says what to keep of the outputs and what to make of it.

    An image is a PIL image, a path, a URL, an encoded file as bytes or in base64, or an array of bytes. Images are read
    one by one, and as many of one size run together as a budget allows; the answers come in the order of the inputs.
    """

    parts: ClassVar[tuple[str, ...]] = ("image_processor",)
    reads = "pixel_values"
    main = "image"
    Options: ClassVar[type[Options]] = ImageOptions

    def look(self, pixels: Tensor) -> Any:
        """The model's output for ``[images, channels, height, width]``."""
        return self.model(pixel_values=pixels)

    def select(self, output: Any, options: Any) -> Iterable[Tensor]:
        """What ``answer`` needs of the model's output, one tensor an image."""
        raise TypeError(f"{type(self).__name__} does not say what it keeps; define select.")

    def answer(self, output: Array, options: Any) -> Any:
        """The answer for one image, of what was kept for it."""
        raise TypeError(f"{type(self).__name__} does not say what it answers; define answer.")

    def run(self, items: Sequence[Any], options: Any) -> list[Any]:
        return [self.answer(output, options) for output in self.forward(items, options)]

    def is_one(self, inputs: Any) -> bool:
        return super().is_one(inputs) or getattr(inputs, "ndim", 4) < 4

    def forward(self, items: Sequence[Any], options: Any) -> list[Array]:
        """What ``select`` keeps of the model's output for each image, float32, in the order of ``items``."""
        import torch

        found: list[Array] = [np.empty(0)] * len(items)
        with progress(self.task, len(items), options.progress) as bar, torch.inference_mode():
            for numbers, pixels in self._batches(items, options):
                output = self.look(pixels.to(self.device, self.model.dtype))
                for number, kept in zip(numbers, self.select(output, options), strict=True):
                    found[number] = kept.float().cpu().numpy()
                bar.update(len(numbers))
        return found

    def settings(self, options: Any) -> Mapping[str, Any]:
        """Settings of the image processor in place of its own."""
        return {}

    def _batches(self, items: Sequence[Any], options: Any) -> Iterator[tuple[list[int], Tensor]]:
        """Images that go through the model together, by their numbers; few are held at once."""
        import torch

        waiting: dict[Any, list[tuple[int, Tensor]]] = defaultdict(list)
        for number, item in enumerate(items):
            pixels = self.image_processor(opened(item, options.timeout), **self.settings(options))["pixel_values"]
            batch = waiting[pixels.shape]
            batch.append((number, pixels))
            if len(batch) >= self._together(pixels.shape, options):
                yield [number for number, _ in batch], torch.cat([pixels for _, pixels in batch])
                del waiting[pixels.shape]
        for batch in waiting.values():
            yield [number for number, _ in batch], torch.cat([pixels for _, pixels in batch])

    def _together(self, shape: Sequence[int], options: Any) -> int:
        budget = TOKENS_ON_CPU if self.device.type == "cpu" else TOKENS_ON_GPU
        most = max(budget * PATCH // (shape[-2] * shape[-1]), 1)
        return min(most, options.batch_size or most)
