"""Perplexity of a language model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from headway.errors import InputError
from headway.training.metrics.base import IGNORED, Metric, as_array


class Perplexity(Metric):
    """``exp`` of the mean loss of a token, over the tokens of all batches together.

    ``add`` takes scores ``[..., vocabulary]`` and labels ``[...]``, -100 where there is none; for a causal model the
    scores at a place belong to the label at the next one, so pass ``logits[:, :-1]`` and ``labels[:, 1:]``.
    ``add_loss`` takes what a model tells.
    """

    def __init__(self) -> None:
        self._loss, self._tokens = 0.0, 0

    def add(self, predictions: Any, references: Any) -> None:
        scores, true = as_array(predictions).astype(np.float64), as_array(references)
        if scores.shape[:-1] != true.shape:
            raise InputError(f"Scores of shape {list(scores.shape)} do not fit labels of shape {list(true.shape)}.")
        counted = true != IGNORED
        scores, true = scores[counted], true[counted]
        highest = scores.max(-1, keepdims=True, initial=-np.inf)
        totals = highest[:, 0] + np.log(np.exp(scores - highest).sum(-1))
        self.add_loss(float((totals - scores[np.arange(len(true)), true]).mean()) if len(true) else 0.0, len(true))

    def add_loss(self, loss: float, tokens: int) -> None:
        """Count a mean loss over so many tokens."""
        self._loss += loss * tokens
        self._tokens += tokens

    def value(self) -> dict[str, float]:
        if not self._tokens:
            return {"perplexity": math.nan}
        mean = self._loss / self._tokens
        return {"perplexity": math.exp(mean) if mean < 700 else math.inf}
