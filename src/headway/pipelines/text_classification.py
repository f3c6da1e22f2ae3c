"""Text classification: a label, or a score for each label, for a text or a pair of texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headway.errors import InputError
from headway.pipelines.options import option
from headway.pipelines.text import Document, Row, TextOptions, TextPipeline, mean_logits
from headway.pipelines.windows import Array

FUNCTIONS = ("sigmoid", "softmax", "none")


@dataclass(frozen=True, kw_only=True)
class TextClassificationOptions(TextOptions):
    """``top_k`` says how many labels to list; where nothing is said, the answer is the best one alone."""

    top_k: int | str | None = option("best", "labels to list, best first, or 'all'", int, none="all")
    function_to_apply: str | None = option(
        None, "from logits to scores; by default what the model's config says", str, choices=FUNCTIONS
    )


class TextClassificationPipeline(TextPipeline):
    """Labels of texts.

    The answer is ``{"label", "score"}``, for a single text as a list of one; with ``top_k`` a list of them, best first.
    The scores of a text that is too long for the model are made of the mean of its windows' logits.
    """

    task = "text-classification"
    aliases = ("sentiment-analysis",)
    auto = "AutoModelForSequenceClassification"
    summary = "a label for a text"
    Options = TextClassificationOptions

    def __call__(self, inputs: Any, **options: Any) -> Any:
        answer = super().__call__(inputs, **options)
        # The field's shape: a lone text gives a list, unless this very call asks for a number of labels.
        return [answer] if isinstance(inputs, str) and "top_k" not in options else answer

    def select(self, output: Any, rows: Sequence[Row]) -> Iterable[Any]:
        logits: Iterable[Any] = output["logits"]
        return logits

    def answer(self, document: Document, outputs: Sequence[Array], options: Any) -> Any:
        logits = mean_logits(document, outputs)
        scores = apply(options.function_to_apply or self._function(len(logits)), logits)
        label = self.model.config.label
        if options.top_k == "best":
            best = int(scores.argmax())
            return {"label": label(best), "score": float(scores[best])}
        order = np.argsort(-scores, kind="stable")[: options.top_k]
        return [{"label": label(int(number)), "score": float(scores[number])} for number in order]

    def _function(self, labels: int) -> str:
        config = self.model.config
        if config.problem_type == "regression":
            return "none"
        if config.problem_type == "multi_label_classification" or labels == 1:
            return "sigmoid"
        return "softmax" if config.problem_type else getattr(config, "function_to_apply", None) or "softmax"


def apply(function: str, logits: Array) -> Array:
    """Logits ``[..., labels]`` to scores."""
    match function:
        case "sigmoid":
            result: Array = 0.5 * (1 + np.tanh(0.5 * logits))
            return result
        case "softmax":
            return softmax(logits)
        case "none":
            return logits
    raise InputError(f"{function!r} makes no scores of logits; use one of {', '.join(FUNCTIONS)}.")


def softmax(logits: Array) -> Array:
    """Softmax over the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    result: Array = powers / powers.sum(-1, keepdims=True)
    return result
