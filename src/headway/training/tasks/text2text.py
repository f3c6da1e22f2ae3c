"""A text for a text: summaries, translations and whatever else an encoder-decoder can write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headway.training.data import Row
from headway.training.metrics import Rouge
from headway.training.report.blocks import Block, Table
from headway.training.report.looks import WORST
from headway.training.tasks.base import Column, Evaluated, Options, Task, option
from headway.training.tasks.language import TokenAccuracy, token_scores

_TARGETS = ("target", "summary", "highlights", "translation", "output", "response", "answer")


@dataclass(frozen=True, kw_only=True)
class WritingOptions(Options):
    """What stands before texts, how long what is written may be, and how much of it is looked at."""

    max_target_length: int = option(128, "tokens of a text to write at most; the rest is cut", int)
    prefix: str = option("", "what to put before each source, as T5's 'summarize: '", str)
    written_rows: int = option(100, "rows of the evaluation that are written at the end, for ROUGE; 0 for none", int)


class Text2Text(Task):
    """Rows with a source and a target; at the end some of the evaluation are written, and compared by ROUGE."""

    name = "text2text-generation"
    aliases = ("seq2seq",)
    auto = "AutoModelForSeq2SeqLM"
    summary = "to write a text for a text"
    roles = (
        Column("source", "the source", ("source", "text", "document", "article", "dialogue", "input", "question")),
        Column("target", "the text to write", _TARGETS),
    )
    Options = WritingOptions

    def encode(self, rows: Sequence[Row], processor: Any, model: Any) -> Any:
        sources = [f"{self.options.prefix}{text}" for text in self.texts(rows, "source")]
        inputs = processor(sources, truncation=True, max_length=self.limit(processor, model))
        longest = self.options.max_target_length
        targets = processor(text_target=self.texts(rows, "target"), truncation=True, max_length=longest)
        return [
            {**{name: inputs[name][at] for name in inputs}, "labels": targets["input_ids"][at]}
            for at in range(len(rows))
        ]

    def collator(self, processor: Any, model: Any) -> Any:
        from headway.training.collators import DataCollatorForSeq2Seq

        return DataCollatorForSeq2Seq(processor)

    def evaluated(self, rows: Sequence[Row], dataset: Any, processor: Any, model: Any) -> Evaluated:
        return Evaluated(TokenAccuracy(), token_scores(causal=False))

    def after(self, rows: Sequence[Row], processor: Any, model: Any) -> tuple[dict[str, float], list[Block]]:
        rows = rows[: self.options.written_rows]
        if not rows:
            return {}, []
        sources, targets = self.texts(rows, "source"), self.texts(rows, "target")
        written = self.write([f"{self.options.prefix}{text}" for text in sources], processor, model)
        metrics = {f"eval_{name}": value for name, value in Rouge().of(written, targets).items()}
        scores = [Rouge().of([text], [target])["rougeL"] for text, target in zip(written, targets, strict=True)]
        order = sorted(range(len(rows)), key=scores.__getitem__)[:WORST]
        cells = [(sources[at], written[at], targets[at], scores[at]) for at in order]
        note = f"Of {len(rows)} rows that were written, those with the least ROUGE-L come first."
        return metrics, [Table("Written examples", ("source", "written", "reference", "ROUGE-L"), cells, note)]

    def write(self, sources: Sequence[str], processor: Any, model: Any) -> list[str]:
        """What the model writes for ``sources``."""
        from headway.pipelines.load import pipeline

        was_training = model.training
        run = pipeline(self.name, model, tokenizer=processor, allow_new_head=True)
        answers = run(list(sources), truncation=True, max_new_tokens=self.options.max_target_length)
        model.train(was_training)
        return [str(next(iter(answer.values()))) for answer in answers]

    def facts(self) -> dict[str, Any]:
        return {"prefix": repr(self.options.prefix)} if self.options.prefix else {}

    def example(self) -> str:
        return f'"{self.options.prefix}A text."'


class Summarization(Text2Text):
    """Rows with a text and its summary."""

    name = "summarization"
    summary = "a short text that says what a long one does"
    roles = (
        Column("source", "the text", ("document", "article", "text", "dialogue", "source", "input")),
        Column("target", "the summary", ("summary", "highlights", "target", "title")),
    )


@dataclass(frozen=True, kw_only=True)
class TranslationOptions(WritingOptions):
    """The languages, where the model has several."""

    src_lang: str | None = option(None, "the language of sources, as the model names it", str)
    tgt_lang: str | None = option(None, "the language to translate into", str)


class Translation(Text2Text):
    """Rows with a text and its translation."""

    name = "translation"
    summary = "a text in another language"
    roles = (
        Column("source", "the text", ("source", "src", "text", "input")),
        Column("target", "the translation", ("target", "tgt", "translation", "output")),
    )
    Options = TranslationOptions

    def processor(self, checkpoint: str) -> Any:
        from headway.auto.tokenizer import AutoTokenizer

        said = {name: getattr(self.options, name) for name in ("src_lang", "tgt_lang")}
        return AutoTokenizer.from_pretrained(checkpoint, **{name: value for name, value in said.items() if value})
