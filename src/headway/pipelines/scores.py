"""From logits to scores, and to labels by them."""

from __future__ import annotations

from typing import Any

import numpy as np

from headway.errors import InputError
from headway.pipelines.windows import Array

FUNCTIONS = ("sigmoid", "softmax", "none")


def function_of(config: Any, labels: int) -> str:
    """What makes scores of a classifier's logits, as its config says."""
    if config.problem_type == "regression":
        return "none"
    if config.problem_type == "multi_label_classification" or labels == 1:
        return "sigmoid"
    return "softmax" if config.problem_type else getattr(config, "function_to_apply", None) or "softmax"


def ranked(config: Any, scores: Array, count: int | None) -> list[dict[str, Any]]:
    """``{"label", "score"}`` for each of ``count`` labels, or of all, best first."""
    order = np.argsort(-scores, kind="stable")[:count]
    return [{"label": config.label(int(number)), "score": float(scores[number])} for number in order]


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
