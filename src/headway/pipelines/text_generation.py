"""Text generation: texts and chats that go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headway.errors import InputError
from headway.generation.config import GenerationConfig
from headway.pipelines.options import option
from headway.pipelines.text import Row, positions, shown
from headway.pipelines.writing import WritingOptions, WritingPipeline


@dataclass(frozen=True, kw_only=True)
class TextGenerationOptions(WritingOptions):
    """What goes before the prompt, and what of it the answer holds."""

    return_full_text: bool = option(True, "answer with the prompt and what was written, not the latter alone", bool)
    prefix: str = option("", "a text that every prompt is read behind", str)
    handle_long_generation: str | None = option(
        None, "hole: of prompts that are too long read the last tokens", str, choices=("hole",)
    )
    stop_sequence: str | Sequence[str] | None = option(None, "an older name of stop_strings")
    add_special_tokens: bool | None = option(None, "frame prompts as the tokenizer does; chats never are")
    continue_final_message: bool | None = option(
        None, "go on with the last message of a chat; by default if it is the assistant's"
    )
    tools: Sequence[Any] | None = option(None, "functions, or their schemas, that the model may call in chats")
    documents: Sequence[Mapping[str, Any]] | None = option(None, "documents that the model may quote in chats")
    tokenizer_encode_kwargs: Mapping[str, Any] | None = option(
        None, "further arguments of the tokenizer, or of apply_chat_template"
    )

    @property
    def arguments(self) -> dict[str, Any]:
        stop = {} if self.stop_sequence is None else {"stop_strings": self.stop_sequence}
        return {**stop, **super().arguments}


class TextGenerationPipeline(WritingPipeline):
    """Texts that go on.

    An input is a text, or a chat: a list of messages with ``role`` and ``content``, rendered by the tokenizer's chat
    template. The answer is a list of ``{"generated_text"}``, one for each of ``num_return_sequences``: the prompt with
    what was written, the messages with the answer as the assistant's; what was written alone with
    ``return_full_text=False``; or ``{"generated_token_ids"}`` with ``return_tensors=True``.

    A prompt that leaves the model no room is refused, unless ``handle_long_generation="hole"`` says what to leave out.
    """

    task = "text-generation"
    auto = "AutoModelForCausalLM"
    summary = "a text, or a chat, written on"
    Options = TextGenerationOptions
    defaults = {"max_new_tokens": 256, "do_sample": True, "temperature": 0.7}  # noqa: RUF012 - read only

    def is_one(self, inputs: Any) -> bool:
        return super().is_one(inputs) or _is_chat(inputs)

    def run(self, items: Sequence[Any], options: Any) -> list[Any]:
        settings = self.settings(options)
        rows = [self._cut(self._row(item, options), options, settings) for item in items]
        written = self.write(rows, options, settings, range(len(rows)))
        return [
            [self._answer(item, row.ids.tolist(), ids, options) for ids in texts]
            for item, row, texts in zip(items, rows, written, strict=True)
        ]

    def _row(self, item: Any, options: Any) -> Row:
        further = dict(options.tokenizer_encode_kwargs or {})
        if _is_chat(item):
            goes_on = _goes_on(item, options)
            encoding = self.tokenizer.apply_chat_template(
                list(item),
                tools=options.tools,
                documents=options.documents,
                add_generation_prompt=not goes_on,
                continue_final_message=goes_on,
                **further,
            )
        elif isinstance(item, str):
            if options.add_special_tokens is not None:
                further.setdefault("add_special_tokens", options.add_special_tokens)
            # A rendered chat is more than its text: it knows that its special tokens are there.
            text = options.prefix + item if options.prefix else item
            encoding = self.tokenizer(text, verbose=False, **further)
        else:
            raise InputError(
                f"text-generation takes a text, or a list of messages with 'role' and 'content', not {shown(item)}."
            )
        return self.row(encoding["input_ids"], encoding.get("token_type_ids"))

    def _cut(self, row: Row, options: Any, settings: GenerationConfig) -> Row:
        """A prompt that leaves room for what is to be written, where the options allow to cut it."""
        limit = positions(self.model)
        if limit is None or not (options.handle_long_generation or options.truncation):
            return row
        new = settings.resolved().max_new_tokens or 1
        room = limit - new
        if room < 1:
            raise InputError(
                f"max_new_tokens={new} leaves no room for a prompt in a model that takes {limit}; pass a smaller one."
            )
        if len(row) <= room:
            return row
        kept = slice(-room, None) if options.handle_long_generation else slice(room)
        return replace(row, ids=row.ids[kept], types=None if row.types is None else row.types[kept])

    def _answer(self, item: Any, prompt: list[int], ids: list[int], options: Any) -> dict[str, Any]:
        if options.return_tensors:
            return {"generated_token_ids": [*prompt, *ids]}
        # Decoded behind the prompt: some tokenizers take a space from the first word of a text.
        before, everything = self.decode(prompt, options), self.decode([*prompt, *ids], options)
        text = everything[len(before) :] if everything.startswith(before) else self.decode(ids, options)
        if not options.return_full_text:
            return {"generated_text": text}
        if isinstance(item, str):
            return {"generated_text": str(item) + text}
        if _goes_on(item, options):
            last = {**item[-1], "content": item[-1]["content"] + text}
            return {"generated_text": [*item[:-1], last]}
        return {"generated_text": [*item, {"role": "assistant", "content": text}]}

    def table(self, answer: Any) -> list[dict[str, Any]]:
        return [
            {"generated_text": text if isinstance(text := row["generated_text"], str) else text[-1]["content"]}
            for row in answer
        ]


def _is_chat(item: Any) -> bool:
    """Is this a list of messages?"""
    return isinstance(item, list | tuple) and bool(item) and all(isinstance(m, Mapping) and "role" in m for m in item)


def _goes_on(chat: Sequence[Mapping[str, Any]], options: Any) -> bool:
    """Does the model go on with the last message, rather than answer it?"""
    said: bool | None = options.continue_final_message
    return chat[-1]["role"] == "assistant" if said is None else said
