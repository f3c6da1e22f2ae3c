"""Summarization: a shorter text that says what a long one does."""

from __future__ import annotations

from headway.pipelines.partwise import PartwisePipeline


class SummarizationPipeline(PartwisePipeline):
    """Summaries: ``{"summary_text"}``, shaped as those of text2text-generation are.

    Of a text that is too long for the model, every part is summarised, and the summaries stand one after the other;
    lengths that are asked for are those of each.
    """

    task = "summarization"
    summary = "the gist of a text"
    field = "summary"
    by_line = False
    told_by_head = False
