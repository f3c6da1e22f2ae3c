"""Summarization: a shorter text that says what a long one does."""

from __future__ import annotations

from headway.pipelines.text2text_generation import Text2TextGenerationPipeline


class SummarizationPipeline(Text2TextGenerationPipeline):
    """Summaries: ``{"summary_text"}``, shaped as those of text2text-generation are."""

    task = "summarization"
    summary = "the gist of a text"
    field = "summary"
    by_line = False
    told_by_head = False
