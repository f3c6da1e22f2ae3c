"""Text to text: what an encoder-decoder writes for a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from headway.errors import InputError
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
        if isinstance(inputs, list | tuple) and all(len(answer) == 1 for answer in answers):
            return [answer[0] for answer in answers]
        return answers

    def run(self, items: Sequence[Any], options: Any) -> list[Any]:
        for item in items:
            if not isinstance(item, str):
                raise InputError(f"{self.task} takes a text, not {shown(item)}.")
        settings = self.settings(options)
        prefix = self.prefix(options)
        # What the text begins with already is not put before it again.
        texts = [item if prefix and item.startswith(prefix) else prefix + item for item in items]
        rows = [self._row(ids, options) for ids in self.tokens(texts, options)] if texts else []
        written = self.write(rows, options, settings)
        return [[self._answer(ids, options) for ids in texts] for texts in written]

    def tokens(self, texts: Sequence[str], options: Any) -> list[list[int]]:
        """The ids of texts."""
        limit = positions(self.model)
        cut = {"truncation": True, "max_length": limit} if options.truncation and limit else {}
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

    def _row(self, ids: Sequence[int], options: Any) -> Row:
        limit = positions(self.model)
        if limit is not None and len(ids) > limit:
            raise InputError(
                f"The text has {len(ids)} tokens, but the model takes {limit}: give it in parts, or pass "
                "truncation=True to read its beginning alone."
            )
        return self.row(ids)

    def _answer(self, ids: list[int], options: Any) -> dict[str, Any]:
        if options.return_tensors:
            return {f"{self.field}_token_ids": ids}
        return {f"{self.field}_text": self.decode(ids, options)}
