"""``GroupPipeline``: pipelines that read a text beside each of several others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Any

from headway.pipelines.text import Document, Row, TextPipeline, mean_logits
from headway.pipelines.windows import Array


class GroupPipeline(TextPipeline):
    """A pipeline whose every input becomes a group of pairs; a subclass says which, and what their logits mean.

    A first text that is too long is read in windows, each beside the whole second one, and their logits are averaged.
    """

    def group(self, item: Any, options: Any) -> list[tuple[str, str]]:
        """The pairs of texts that are read for an input."""
        raise TypeError(f"{type(self).__name__} does not say what it reads; define group.")

    def decide(self, item: Any, logits: Sequence[Array], options: Any) -> Any:
        """The answer for one input, of the logits of its pairs."""
        raise TypeError(f"{type(self).__name__} does not say what it answers; define decide.")

    def texts(self, item: Any) -> tuple[str, str | None]:
        return item[0], item[1]

    def moving(self, document: Document) -> int:
        return 0

    def select(self, output: Any, rows: Sequence[Row]) -> Iterable[Any]:
        logits: Iterable[Any] = output["logits"]
        return logits

    def run(self, items: Sequence[Any], options: Any) -> list[Any]:
        groups = [self.group(item, options) for item in items]
        documents = self.documents([pair for group in groups for pair in group], options)
        outputs = self.outputs(documents, options)
        logits = [mean_logits(*both) for both in zip(documents, outputs, strict=True)]
        bounds = pairwise(accumulate((len(group) for group in groups), initial=0))
        return [self.decide(item, logits[a:b], options) for item, (a, b) in zip(items, bounds, strict=True)]
