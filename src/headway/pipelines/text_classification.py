"""Text classification: a label, or a score for each label, for a text or a pair of texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headway.pipelines.options import option
from headway.pipelines.scores import FUNCTIONS, apply, function_of, ranked
from headway.pipelines.text import Document, Row, TextOptions, TextPipeline, mean_logits
from headway.pipelines.windows import Array


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

    def options_from(self, options: Any, values: Mapping[str, Any]) -> Any:
        plain = dict(values)
        if "return_all_scores" in plain:  # an older way to say top_k
            every = plain.pop("return_all_scores")
            plain.setdefault("top_k", None if every else "best")
        return super().options_from(options, plain)

    def select(self, output: Any, rows: Sequence[Row]) -> Iterable[Any]:
        logits: Iterable[Any] = output["logits"]
        return logits

    def answer(self, document: Document, outputs: Sequence[Array], options: Any) -> Any:
        logits, config = mean_logits(document, outputs), self.model.config
        scores = apply(options.function_to_apply or function_of(config, len(logits)), logits)
        best = options.top_k == "best"
        rows = ranked(config, scores, 1 if best else options.top_k)
        return rows[0] if best else rows
