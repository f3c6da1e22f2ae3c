"""Text to text: what an encoder-decoder writes for a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from headway.errors import InputError
from headway.pipelines.cutting import Part
from headway.pipelines.text import Row, positions, shown
from headway.pipelines.writing import WritingPipeline


class Text2TextGenerationPipeline(WritingPipeline):
    """Texts for texts.

    The answer is ``{"generated_text"}``, for a single text as a list of one; with ``num_return_sequences`` above 1 a
    list of as many for each text. What the checkpoint says of the task in ``task_specific_params``, such as T5's prefix
    of texts, holds; it may be written before the text by the caller as well.

    A text that is longer than the model takes is refused, unless ``truncation=True`` says to cut it.

    Attributes:
        field: the name of the text in an answer.
    """

    task = "text2text-generation"
    auto = "AutoModelForSeq2SeqLM"
    summary = "what an encoder-decoder writes for a text"
    defaults = {"max_new_tokens": 256, "num_beams": 4}  # noqa: RUF012 - read only
    field: ClassVar[str] = "generated"

    def __call__(self, inputs: Any, **options: Any) -> Any:
        answers = super().__call__(inputs, **options)
        # The field's shape: of several texts, those with one answer each give it as it is.
        if isinstance(answers, list) and not self.is_one(inputs) and all(len(answer) == 1 for answer in answers):
            return [answer[0] for answer in answers]
        return answers

    def run(self, items: Sequence[Any], options: Any) -> list[Any]:
        for item in items:
            if not isinstance(item, str):
                raise InputError(f"{self.task} takes a text, not {shown(item)}.")
        settings, prefix = self.settings(options), self.prefix(options)
        groups: list[list[Part]] = []
        rows: list[Row] = []
        # What the text begins with already is not put before it again.
        texts = [item.removeprefix(prefix) for item in items]
        for text, ids in zip(texts, self.tokens([prefix + text for text in texts], options), strict=True):
            fits = self.limit is None or len(ids) <= self.limit
            groups.append([Part(text, "")] if fits else self.divided(text, prefix, options))
            inputs = [ids] if fits else self.tokens([prefix + part.text for part in groups[-1]], options)
            rows += map(self.row, inputs)
        owners = [number for number, parts in enumerate(groups) for _ in parts]
        written = iter(self.write(rows, options, settings, owners))
        return [self._answers([next(written) for _ in parts], parts, options) for parts in groups]

    @property
    def limit(self) -> int | None:
        """Tokens of a text at most, None where nothing bounds them."""
        return positions(self.model)

    def divided(self, text: str, prefix: str, options: Any) -> list[Part]:
        """The parts in which a text that is too long is read; raises ``InputError`` where that makes no sense."""
        raise InputError(
            f"The text has more tokens than the model takes, which are {self.limit}: give it in parts, or pass "
            "truncation=True to read its beginning alone."
        )

    def join(self, texts: Sequence[str], parts: Sequence[Part]) -> str:
        """One text of those that were written about the parts."""
        raise TypeError(f"{type(self).__name__} reads in parts, but does not say what becomes of them; define join.")

    def tokens(self, texts: Sequence[str], options: Any) -> list[list[int]]:
        """The ids of texts."""
        if not texts:
            return []
        cut = {"truncation": True, "max_length": self.limit} if options.truncation and self.limit else {}
        ids: list[list[int]] = self.tokenizer(list(texts), verbose=False, **cut)["input_ids"]
        return ids

    def params(self, options: Any) -> Mapping[str, Any]:
        """The checkpoint's words for this task."""
        found: Mapping[str, Any] = self._all_params.get(self.task.replace("-", "_"), {})
        return self._all_params.get(self.task, found)

    def of_checkpoint(self, options: Any) -> Mapping[str, Any]:
        return self.params(options)

    def prefix(self, options: Any) -> str:
        """What texts are read behind."""
        found: str | None = self.params(options).get("prefix") or getattr(self.model.config, "prefix", None)
        return found or ""

    @property
    def _all_params(self) -> Mapping[str, Mapping[str, Any]]:
        return getattr(self.model.config, "task_specific_params", None) or {}

    def _answers(self, written: Sequence[Sequence[list[int]]], parts: Sequence[Part], options: Any) -> list[Any]:
        """The answers for one text, of what was written about each of its parts."""
        return [self._answer(each, parts, options) for each in zip(*written, strict=True)]

    def _answer(self, written: Sequence[list[int]], parts: Sequence[Part], options: Any) -> dict[str, Any]:
        if options.return_tensors:
            return {f"{self.field}_token_ids": [id for ids in written for id in ids]}
        texts = [self.decode(ids, options) for ids in written]
        return {f"{self.field}_text": self.join(texts, parts) if len(texts) > 1 else texts[0]}
