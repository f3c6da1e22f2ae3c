"""Guidance without a classifier: away from what a negative prompt would say (Sanchez et al. 2023, arXiv:2306.17806)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from headway.generation.decoder import Decoder
from headway.generation.processors import LogitsProcessor
from headway.nn.cache import Cache


class Guidance(LogitsProcessor):
    """Moves log-probabilities away from those after the negative prompt, or after the prompt's last token alone.

    Args:
        scale: 1 changes nothing.
        job: what is written.
        callables: holds ``negative_prompt_ids`` and their mask.
    """

    def __init__(self, scale: float, job: Any, callables: Any) -> None:
        self.scale = scale
        self.decoder = Decoder(job.decoder.model, Cache(), job.decoder.memory)
        ids = callables.negative_prompt_ids
        self._pending: Tensor = job.ids[:, -1:] if ids is None else ids
        self._mask: Tensor | None = None if ids is None else callables.negative_prompt_attention_mask
        self._width = job.width

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if input_ids.shape[1] > self._width:
            self._pending, self._mask = input_ids[:, -1:], None
        elif self._pending.shape[0] != scores.shape[0]:
            self._pending = self._pending.repeat_interleave(scores.shape[0] // self._pending.shape[0], 0)
        other = self.decoder.feed(self._pending, self._mask).float().log_softmax(-1)
        return self.scale * (scores.log_softmax(-1) - other) + other
