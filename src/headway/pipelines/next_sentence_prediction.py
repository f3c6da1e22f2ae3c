"""Next-sentence prediction: does one text follow another?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from headway.errors import InputError
from headway.pipelines.scores import softmax
from headway.pipelines.text import Document, Row, TextPipeline, mean_logits, shown
from headway.pipelines.windows import Array

LABELS = ("IsNext", "NotNext")


class NextSentencePredictionPipeline(TextPipeline):
    """Texts that follow texts, or do not (Devlin et al. 2018, arXiv:1810.04805).

    An input is ``{"text", "text_pair"}``. The answer is ``{"label", "score"}``, with ``IsNext`` or ``NotNext``.
    """

    task = "next-sentence-prediction"
    auto = "AutoModelForNextSentencePrediction"
    summary = "whether a text follows another"
    besides = {"text_pair": "the text that may follow"}  # noqa: RUF012 - read only

    def texts(self, item: Any) -> tuple[str, str | None]:
        text, pair = super().texts(item)
        if pair is None:
            raise InputError(f"{self.task} takes a dictionary with 'text' and 'text_pair', not {shown(item)}.")
        return text, pair

    def select(self, output: Any, rows: Sequence[Row]) -> Iterable[Any]:
        logits: Iterable[Any] = output["logits"]
        return logits

    def answer(self, document: Document, outputs: Sequence[Array], options: Any) -> dict[str, Any]:
        scores = softmax(mean_logits(document, outputs))
        best = int(scores.argmax())
        return {"label": LABELS[best], "score": float(scores[best])}
