"""Guidance without a classifier: away from what a negative prompt would say (Sanchez et al. 2023, arXiv:2306.17806)."""

from __future__ import annotations

from torch import Tensor

from headway.generation.decoder import Decoder
from headway.generation.processors import LogitsProcessor
from headway.generation.prompts import Prompts
from headway.nn.cache import Cache


class Guidance(LogitsProcessor):
    """Moves log-probabilities away from those after the negative prompt, or after the prompt's last token alone.

    Args:
        scale: 1 changes nothing.
        prompts: after which is written.
        negative: ids ``[prompts, n]`` with their ``mask``, or None.
    """

    def __init__(
        self, scale: float, prompts: Prompts, negative: Tensor | None = None, mask: Tensor | None = None
    ) -> None:
        self.scale, self._width = scale, prompts.ids.shape[1]
        self.decoder = Decoder(prompts.decoder.model, Cache(), prompts.decoder.memory)
        self._pending, self._mask = (prompts.ids[:, -1:], None) if negative is None else (negative, mask)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if input_ids.shape[1] > self._width:
            self._pending, self._mask = input_ids[:, -1:], None
        elif self._pending.shape[0] != scores.shape[0]:
            self._pending = self._pending.repeat_interleave(scores.shape[0] // self._pending.shape[0], 0)
        other = self.decoder.feed(self._pending, self._mask).float().log_softmax(-1)
        return self.scale * (scores.log_softmax(-1) - other) + other
