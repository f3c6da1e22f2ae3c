"""Feature extraction: the states of a backbone, for every token or pooled to one vector a text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from headway.pipelines.options import option
from headway.pipelines.text import Document, Row, TextOptions, TextPipeline, unpadded
from headway.pipelines.windows import Array, merge

POOLINGS = ("cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


@dataclass(frozen=True, kw_only=True)
class FeatureExtractionOptions(TextOptions):
    """Whether to pool, and into what to put the numbers."""

    pooling: str | None = option(
        None,
        "one vector a text: the first token's state, the last one's, or what is made of all",
        str,
        choices=POOLINGS,
    )
    return_tensors: bool = option(False, "torch tensors rather than nested lists")


class FeatureExtractionPipeline(TextPipeline):
    """States of texts.

    The answer is ``[1, tokens, channels]``, the states that the backbone returns first; with ``pooling`` it is
    ``[channels]``. Of a text that is too long, each token's states are those of the window that has most around it.
    """

    task = "feature-extraction"
    auto = "AutoModel"
    summary = "the states of a text's tokens, or one vector for a text"
    Options: ClassVar[type[TextOptions]] = FeatureExtractionOptions
    load_with = {"add_pooling_layer": False}  # noqa: RUF012 - read only

    def select(self, output: Any, rows: Sequence[Row]) -> Iterable[Any]:
        return unpadded(output[0], rows)

    def answer(self, document: Document, outputs: Sequence[Array], options: Any) -> Any:
        states = self.pooled(document, outputs, options.pooling)
        if not options.return_tensors:
            return states.tolist()
        import torch

        return torch.from_numpy(states.copy())

    def pooled(self, document: Document, outputs: Sequence[Array], how: str | None) -> Array:
        """The states of a text, or one vector made of them."""
        _, states = merge(document.windows, outputs)
        return states[None] if how is None else pool(states, how)

    def table(self, answer: Any) -> list[dict[str, Any]]:
        return [outline(answer)]


def outline(answer: Any) -> dict[str, str]:
    """The shape of nested lists of numbers, and the first of these."""
    shape, first = [len(answer)], answer
    while isinstance(first[0], list):
        first = first[0]
        shape.append(len(first))
    shown = " ".join(f"{value:.3f}" for value in first[:6])
    return {"shape": " x ".join(map(str, shape)), "values": shown + (" ..." if len(first) > 6 else "")}


def pool(states: Array, how: str) -> Array:
    """The states ``[tokens, channels]`` of a text as one vector, in a way that sentence-transformers names."""
    count = len(states)
    match how:
        case "cls":
            vector: Array = states[0]
        case "lasttoken":
            vector = states[-1]
        case "max":
            vector = states.max(0)
        case "mean_sqrt_len_tokens":
            vector = states.sum(0) / np.sqrt(count)
        case "weightedmean":  # later tokens have seen more of the text (Muennighoff 2022, arXiv:2202.08904)
            vector = np.average(states, axis=0, weights=np.arange(1, count + 1))
        case _:
            vector = states.mean(0)
    return vector
