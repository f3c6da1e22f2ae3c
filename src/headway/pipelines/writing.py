"""``WritingPipeline``: pipelines whose models write, prompts of like length together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np

from headway.errors import InputError
from headway.generation.config import NAMES, GenerationConfig
from headway.pipelines.options import Options, option
from headway.pipelines.text import Row, TextPipeline, positions, shown

# A token in a cache asks for less than one in a pass, so more of them go together.
CACHED = 4

# Arguments of generate besides the fields of its config. Pipelines answer with what is written, nothing else.
CALLABLES = (
    *("generation_config", "logits_processor", "stopping_criteria", "prefix_allowed_tokens_fn"),
    *("streamer", "assistant_model", "generator", "grammar"),
)
ARGUMENTS = tuple(name for name in NAMES if not name.startswith(("output_", "return_"))) + CALLABLES


@dataclass(frozen=True, kw_only=True)
class WritingOptions(Options):
    """How to write: the commonest arguments of ``generate``; all others may be given too, which ``others`` keeps."""

    further: ClassVar[tuple[str, ...]] = ARGUMENTS

    max_new_tokens: int | None = option(None, "tokens to write at most", int)
    min_new_tokens: int | None = option(None, "tokens to write before the text may end", int, least=0)
    do_sample: bool | None = option(None, "draw tokens, rather than take the likeliest", bool)
    temperature: float | None = option(None, "below 1 sampling keeps to the likelier tokens", float)
    top_k: int | None = option(None, "sample from this many of the likeliest tokens", int, least=0)
    top_p: float | None = option(None, "sample from the likeliest tokens of this probability together", float)
    num_beams: int | None = option(None, "texts that beam search keeps", int)
    num_return_sequences: int | None = option(None, "texts to write for each input", int)
    repetition_penalty: float | None = option(None, "above 1 keeps from repeating tokens", float)
    no_repeat_ngram_size: int | None = option(None, "never repeat so many tokens in a row", int, least=0)
    stop_strings: str | Sequence[str] | None = option(None, "a text that ends what is written", list)
    truncation: bool = option(False, "cut inputs that are too long, rather than refusing them", bool)
    return_tensors: bool = option(False, "ids of tokens rather than texts")
    skip_special_tokens: bool = option(True, "leave special tokens out of texts")
    clean_up_tokenization_spaces: bool | None = option(None, "remove spaces before punctuation, as decode does")
    padding: bool | str = option(False, "without effect: rows are padded where they must be")
    others: Mapping[str, Any] | None = option(None, "further arguments of generate")

    def changed(self, values: Mapping[str, Any]) -> Self:
        own = {one.name for one in fields(self)}
        plain = {name: value for name, value in values.items() if name in own or name not in ARGUMENTS}
        others = {**(self.others or {}), **{name: values[name] for name in values.keys() - plain.keys()}}
        # Who says one of the two means it in place of the other.
        for length, new in (("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")):
            if values.get(new) is not None and length not in values:
                others.pop(length, None)
            elif values.get(length) is not None:
                plain.setdefault(new, None)
        return super().changed({**plain, "others": others} if others or self.others else plain)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of ``generate`` that are said."""
        said = {one.name: getattr(self, one.name) for one in fields(self) if one.name in ARGUMENTS}
        given = {**said, **(self.others or {})}
        return {name: value for name, value in given.items() if value is not None}


class WritingPipeline(TextPipeline):
    """A pipeline whose model writes; a subclass says what it reads and what becomes of what it wrote.

    As many prompts are at work at once as a budget of tokens allows; where one is done, the next takes its place. What
    is written to a prompt by other means than sampling does not depend on the others. Arguments hold in this order:
    those of the call, of the pipeline, of the checkpoint for the task, of its generation config, and ``defaults``.

    Attributes:
        defaults: how to write where neither the caller nor the checkpoint says.
    """

    Options = WritingOptions
    defaults: ClassVar[Mapping[str, Any]] = {"max_new_tokens": 256}

    def settings(self, options: Any) -> GenerationConfig:
        """How to write, of all that is said."""
        own: GenerationConfig = self.model.generation_config
        base = own
        if own.max_new_tokens is not None and own.max_length is not None:
            base = replace(base, max_length=None)
        for name, value in self.defaults.items():
            if getattr(own, name) is None and not (name == "max_new_tokens" and own.max_length is not None):
                base = replace(base, **{name: value})
        arguments = options.arguments
        given: GenerationConfig | None = arguments.pop("generation_config", None)
        for said in (self.of_checkpoint(options), given.to_dict() if given else {}, arguments):
            base = base.updated({name: value for name, value in said.items() if name in NAMES})
        return base

    def of_checkpoint(self, options: Any) -> Mapping[str, Any]:
        """What the checkpoint says of the task."""
        return {}

    def write(
        self, rows: Sequence[Row], options: Any, settings: GenerationConfig, owners: Sequence[int]
    ) -> list[list[list[int]]]:
        """The ids that the model writes after each row, ``num_return_sequences`` times.

        ``owners`` are the numbers of the inputs that rows are of, by which the caller's arguments go.
        """
        resolved = settings.resolved()
        news = [self._room(row, options, resolved) for row in rows]
        found: list[list[list[int]]] = [[] for _ in rows]
        for new in dict.fromkeys(news):
            places = [place for place, its in enumerate(news) if its == new]
            said = settings if new is None else settings.updated({"max_new_tokens": new})
            given = _of([owners[place] for place in places], options.arguments)
            texts = self._generate([rows[place] for place in places], said, given, options)
            for number, place in enumerate(places):
                count = len(texts) // len(places)
                found[place] = texts[count * number : count * (number + 1)]
        return found

    def _room(self, row: Row, options: Any, settings: GenerationConfig) -> int | None:
        """How many tokens to write after a prompt; None where ``max_length`` says.

        Raises:
            InputError: the model does not take the prompt and the tokens that the caller asks for.
        """
        new, limit = settings.max_new_tokens, positions(self.model)
        if new is None or limit is None:
            return new
        said = options.arguments
        config: GenerationConfig = said.get("generation_config") or GenerationConfig()
        asked = new if "max_new_tokens" in said or config.max_new_tokens is not None else 1
        if self.model.task != "causal-lm":
            if asked > limit:
                raise InputError(f"max_new_tokens={asked} is more than the model can write, which is {limit} tokens.")
            return min(new, limit)
        if len(row) + asked > limit:
            raise InputError(
                f"The prompt has {len(row)} tokens, and the model takes {limit} with those it writes (at least {asked} "
                "here): shorten it, or pass handle_long_generation='hole' to read only its last tokens."
            )
        return min(new, limit - len(row))

    def _generate(
        self, rows: Sequence[Row], settings: GenerationConfig, given: Mapping[str, Any], options: Any
    ) -> list[list[int]]:
        """What is written to each row, without the row."""
        begun = [1 if self.model.task == "seq2seq-lm" else len(row) for row in rows for _ in range(_copies(settings))]
        arguments = {**given, "generation_config": settings, "tokenizer": self.tokenizer}
        if "streamer" in given:  # it follows one text
            ids = [written for row in rows for written in self.model.generate(**self.inputs([row]), **arguments)]
        else:
            tokens = CACHED * self.budget
            if options.batch_size is not None:
                longest = max(len(row) for row in rows) + (settings.max_new_tokens or settings.max_length or 0)
                tokens = min(tokens, options.batch_size * longest)
            ids = self.model.generate(
                [row.ids.tolist() for row in rows], **arguments, tokens=tokens, progress=options.progress
            )
        return [text[start:].tolist() for text, start in zip(ids, begun, strict=True)]

    def decode(self, ids: Sequence[int], options: Any) -> str:
        """Ids as the text that an answer shows."""
        text: str = self.tokenizer.decode(
            list(ids),
            skip_special_tokens=options.skip_special_tokens,
            clean_up_tokenization_spaces=options.clean_up_tokenization_spaces,
        )
        return text

    def row(self, ids: Sequence[int], types: Sequence[int] | None = None) -> Row:
        """The model's inputs for a prompt; one without any token begins with the first of all texts."""
        if not len(ids):
            first = self.model.generation_config.bos_token_id
            if first is None:
                raise InputError(f"{self.task} was given a text without any token: {shown('')}.")
            ids, types = [first], None
        return Row(np.asarray(ids), None if types is None else np.asarray(types))


def _copies(settings: GenerationConfig) -> int:
    return settings.num_return_sequences or 1


def _of(owners: Sequence[int], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments besides the config for prompts of the inputs ``owners``."""
    found = {name: value for name, value in arguments.items() if name in CALLABLES and name != "generation_config"}
    allowed, grammar = found.get("prefix_allowed_tokens_fn"), found.get("grammar")
    if allowed is not None:
        found["prefix_allowed_tokens_fn"] = lambda row, ids: allowed(owners[row], ids)
    if isinstance(grammar, list):
        found["grammar"] = [grammar[owner] for owner in owners]
    return found
