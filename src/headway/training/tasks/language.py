"""Language models: the next token of texts, or tokens that are masked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headway.errors import InputError
from headway.heads.losses import IGNORED
from headway.training.data import Row
from headway.training.metrics import Metric
from headway.training.metrics.base import as_array, share
from headway.training.report.looks import Tokens
from headway.training.tasks.base import Column, Evaluated, Options, Task, option


class TokenAccuracy(Metric):
    """The share of tokens that a model would have told, of what ``token_scores`` keeps."""

    def __init__(self) -> None:
        self._right = self._all = 0

    def add(self, predictions: Any, references: Any) -> None:
        told = as_array(predictions[1])
        self._right += int((told == 1).sum())
        self._all += int((told >= 0).sum())

    def value(self) -> dict[str, float]:
        return {"accuracy": share(self._right, self._all)}


def token_scores(causal: bool) -> Callable[[Any, Any], Any]:
    """Logits to what is kept of them: the loss of each token, and 1 where it was told, 0 where not, -1 for no label.

    Both are ``[rows, width]``; ``causal`` logits belong to the label behind them.
    """

    def reduce(logits: Any, labels: Any) -> Any:
        import torch
        from torch.nn import functional as F

        logits = logits[0] if isinstance(logits, tuple) else logits
        if causal:
            logits, labels = logits[:, :-1], labels[:, 1:]
        losses = F.cross_entropy(logits.float().mT, labels, ignore_index=IGNORED, reduction="none")
        told = (logits.argmax(-1) == labels).long()
        return losses, torch.where(labels == IGNORED, -1, told)

    return reduce


def perplexity(metrics: Mapping[str, float]) -> dict[str, float]:
    """The perplexity that follows from a loss."""
    loss = metrics.get("eval_loss")
    return {} if loss is None else {"eval_perplexity": math.exp(loss) if loss < 700 else math.inf}


@dataclass(frozen=True, kw_only=True)
class CausalOptions(Options):
    """How texts become rows."""

    pack: bool = option(False, "put texts one behind another and cut them into rows of max_length", bool)


class TextGeneration(Task):
    """Rows with a text, or with a prompt and its completion, of which the completion alone is learnt."""

    name = "text-generation"
    aliases = ("causal-lm",)
    auto = "AutoModelForCausalLM"
    summary = "to go on with texts, or to complete prompts"
    roles = (
        Column("prompt", "the prompt", ("prompt", "instruction"), needed=False),
        Column("text", "the text", ("text", "completion", "response", "content")),
    )
    Options = CausalOptions

    def learn(self, rows: Sequence[Row]) -> None:
        if self.options.pack and "prompt" in self.columns:
            raise InputError("pack=True is for texts that stand by themselves; leave it out where there are prompts.")

    def encode(self, rows: Sequence[Row], processor: Any, model: Any) -> Any:
        limit = self.limit(processor, model)
        end = [] if processor.eos_token_id is None else [processor.eos_token_id]
        ids = processor(self.texts(rows, "text"), verbose=False)["input_ids"]
        ids = [row if row[-1:] == end else [*row, *end] for row in ids]
        if self.options.pack:
            every = [token for row in ids for token in row]
            blocks = [every[at : at + limit] for at in range(0, len(every), limit)]
            return [{"input_ids": block, "labels": block} for block in blocks if len(block) > 1]
        if "prompt" not in self.columns:
            return [{"input_ids": row[:limit], "labels": row[:limit]} for row in ids]
        return self._completions(rows, processor, end, limit)

    def _completions(self, rows: Sequence[Row], processor: Any, end: list[int], limit: int) -> list[Row]:
        made = []
        for prompt, text in zip(self.texts(rows, "prompt"), self.texts(rows, "text"), strict=True):
            first = processor(prompt)["input_ids"]
            first = first[:-1] if end and first[-1:] == end else first
            second = [*processor(text, add_special_tokens=False)["input_ids"], *end]
            # A prompt that is too long loses its beginning.
            first = first[max(0, len(first) + len(second) - limit) :]
            ids, labels = [*first, *second], [*[IGNORED] * len(first), *second]
            made.append({"input_ids": ids[:limit], "labels": labels[:limit]})
        return made

    def collator(self, processor: Any, model: Any) -> Any:
        from headway.training.collators import DataCollatorForLanguageModeling

        return DataCollatorForLanguageModeling(processor, mlm=False)

    def evaluated(self, rows: Sequence[Row], dataset: Any, processor: Any, model: Any) -> Evaluated:
        return Evaluated(TokenAccuracy(), token_scores(causal=True), None if self.options.pack else Tokens())

    def further(self, metrics: Mapping[str, float]) -> dict[str, float]:
        return perplexity(metrics)

    def shown(self, row: Row, processor: Any) -> Any:
        prompt, text = self.of(row, "prompt"), self.of(row, "text")
        return text if prompt is None else f"{prompt} ⏎ {text}"

    def example(self) -> str:
        return '"Once upon a time"'


class FillMask(Task):
    """Rows with a text, of which tokens are masked anew each time; those of an evaluation are always the same."""

    name = "fill-mask"
    aliases = ("masked-lm",)
    auto = "AutoModelForMaskedLM"
    summary = "the words behind masks"
    roles = (Column("text", "the text", ("text", "sentence", "content")),)

    def encode(self, rows: Sequence[Row], processor: Any, model: Any) -> Any:
        limit = self.limit(processor, model)
        inputs = processor(self.texts(rows, "text"), truncation=True, max_length=limit)
        return [{name: inputs[name][at] for name in inputs} for at in range(len(rows))]

    def collator(self, processor: Any, model: Any) -> Any:
        from headway.training.collators import DataCollatorForLanguageModeling

        return DataCollatorForLanguageModeling(processor)

    def evaluated(self, rows: Sequence[Row], dataset: Any, processor: Any, model: Any) -> Evaluated:
        return Evaluated(TokenAccuracy(), token_scores(causal=False), Tokens())

    def further(self, metrics: Mapping[str, float]) -> dict[str, float]:
        return perplexity(metrics)

    def example(self) -> str:
        return 'f"A text with a {run.tokenizer.mask_token} in it."'
