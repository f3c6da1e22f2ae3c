"""Multiple choice: which of several texts goes with another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headway.errors import InputError
from headway.pipelines.groups import GroupPipeline
from headway.pipelines.options import option
from headway.pipelines.scores import softmax
from headway.pipelines.text import Row, TextOptions, shown
from headway.pipelines.windows import Array


@dataclass(frozen=True, kw_only=True)
class MultipleChoiceOptions(TextOptions):
    """The choices of inputs that have none of their own."""

    choices: Sequence[str] | None = option(None, "a text that may be chosen", list)


class MultipleChoicePipeline(GroupPipeline):
    """Choices.

    An input is ``{"text", "choices"}``, or a text where the choices are given as an option. The answer is a list of
    ``{"choice", "index", "score"}``, best first; scores add up to one.
    """

    task = "multiple-choice"
    auto = "AutoModelForMultipleChoice"
    summary = "which of several texts goes with another"
    Options = MultipleChoiceOptions

    def group(self, item: Any, options: Any) -> list[tuple[str, str]]:
        text, choices = _parts(item, options)
        return [(text, choice) for choice in choices]

    def inputs(self, rows: Sequence[Row]) -> dict[str, Any]:
        # The head scores choices one by one, so those of any inputs go together.
        return {name: values[:, None] for name, values in super().inputs(rows).items()}

    def decide(self, item: Any, logits: Sequence[Array], options: Any) -> list[dict[str, Any]]:
        _, choices = _parts(item, options)
        scores = softmax(np.concatenate(logits))
        order = np.argsort(-scores, kind="stable").tolist()
        return [{"choice": choices[at], "index": at, "score": float(scores[at])} for at in order]


def _parts(item: Any, options: Any) -> tuple[str, Sequence[str]]:
    own = isinstance(item, Mapping) and item.keys() <= {"text", "choices"}
    text, choices = (item.get("text"), item.get("choices", options.choices)) if own else (item, options.choices)
    if not isinstance(text, str):
        raise InputError(f"multiple-choice takes a text, or a dictionary with 'text' and 'choices', not {shown(item)}.")
    if not isinstance(choices, list | tuple) or not choices or not all(isinstance(choice, str) for choice in choices):
        raise InputError(f"multiple-choice needs choices, a list of texts, not {shown(choices)}.")
    return text, choices
