"""Many prompts of any length: rows come and go while others are written, and the tokens held stay under a budget."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from headway.errors import InputError
from headway.generation.build import criteria_for, last_processors_for, processors_for
from headway.generation.config import GenerationConfig
from headway.generation.constraint import Constraint
from headway.generation.decoder import Decoder, right_aligned
from headway.generation.generate import Callables, generate, limits_of
from headway.generation.grammar import grammars_of
from headway.generation.processors import LogitsProcessorList
from headway.generation.prompts import Prompts, check_head, read_prompts, starts_of
from headway.generation.stopping import MaxTimeCriteria, StoppingCriteriaList
from headway.generation.waiting import Room, Waiting, texts_of
from headway.nn.cache import Cache
from headway.progress import progress as bar_of

# Rows are exchanged once one in so many is finished. An exchange copies the cache, which costs about as much as a few
# steps, while a finished row costs its share of every step: exchanged one by one, a large batch would be copied all the
# time; exchanged at the end, all would wait for the longest.
SHARE = 4

Report = Callable[[int], Any]


@torch.no_grad()
def generate_many(
    model: Any,
    prompts: Any,
    config: GenerationConfig,
    given: dict[str, Any],
    callables: Callables,
    tokens: int,
    progress: bool,
) -> list[Tensor]:
    """Write text; see ``PreTrainedModel.generate_many``."""
    check_head(model)
    given = {name: value for name, value in given.items() if value is not None}
    _check(model, config, given, callables, tokens)
    texts = texts_of(prompts, callables.tokenizer, model.device)
    together = (config.num_beams or 1) > 1 or config.contrastive or _follows_rows(config, callables)
    task = Task(model, config, callables, given.get("past_key_values"), tokens)
    was_training = model.training
    model.eval()
    try:
        with bar_of("prompts", len(texts), progress) as bar:
            return in_batches(task, texts, bar.update) if together else Rows(task, texts, bar.update).write()
    finally:
        model.train(was_training)


def _follows_rows(config: GenerationConfig, callables: Callables) -> bool:
    """Does something follow the rows of one batch from its start: guesses or guidance?"""
    guided = config.guidance_scale not in (None, 1.0)
    return callables.assistant_model is not None or bool(config.prompt_lookup_num_tokens) or guided


def _check(model: Any, config: GenerationConfig, given: dict[str, Any], callables: Callables, tokens: int) -> None:
    if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1:
        raise InputError(f"tokens={tokens!r} is out of range; say how many tokens may be held at once.")
    if config.return_dict_in_generate:
        raise InputError("generate_many gives ids alone; for return_dict_in_generate=True use generate with a tensor.")
    starts = config.decoder_start_token_id
    if isinstance(starts, list) and len(starts) > 1:
        raise InputError(
            f"All prompts begin with one decoder_start_token_id, but there are {len(starts)}; give one id."
        )
    for name in ("streamer", "negative_prompt_ids", "negative_prompt_attention_mask"):
        if getattr(callables, name) is not None:
            raise InputError(f"{name} goes with one batch of prompts; use generate with a tensor.")
    for name, value in given.items():
        if name != "past_key_values" or model.task != "causal-lm":
            raise InputError(f"generate_many takes no {name}: each prompt is whole and none is padded.")
        if not isinstance(value, Cache) or value.rows != 1:
            raise InputError(
                "past_key_values of generate_many is how all prompts begin; pass a cache of one row that holds tokens."
            )


@dataclass
class Task:
    """What is asked of every prompt.

    Attributes:
        prefix: a cache of what all prompts begin with.
        tokens: the budget.
    """

    model: Any
    config: GenerationConfig
    callables: Callables
    prefix: Cache | None
    tokens: int

    def __post_init__(self) -> None:
        self.encodes = self.model.task == "seq2seq-lm"
        self.device: torch.device = self.model.device
        limit = self.config.max_time
        self.clock = None if limit is None else MaxTimeCriteria(limit)

    @property
    def late(self) -> bool:
        """Is the time of the whole call over?"""
        return self.clock is not None and self.clock(torch.empty(0), None)

    def inputs(self, texts: list[Tensor]) -> dict[str, Tensor | Cache]:
        """What a model is given for a batch of ``texts``."""
        ids = right_aligned(texts)
        found: dict[str, Tensor | Cache] = {"input_ids": ids.clamp(min=0), "attention_mask": (ids >= 0).long()}
        if self.prefix is not None:
            found["past_key_values"] = copy.deepcopy(self.prefix)
        return found

    def untouched(self, text: Tensor) -> Tensor:
        """The result of a prompt behind which nothing was written."""
        return starts_of(self.config, 1, self.device)[0] if self.encodes else text


# --- row by row ---------------------------------------------------------------------------------------------------


@dataclass
class Row:
    """One text at work.

    Attributes:
        number: which result it becomes.
        ids: the text so far.
        room: tokens that it may come to hold.
        processors, stopping: its own; they see the text as if it were alone.
    """

    number: int
    ids: list[int]
    room: Room
    processors: LogitsProcessorList
    stopping: StoppingCriteriaList
    done: bool = False

    def accept(self, token: int, eos: frozenset[int], device: torch.device) -> None:
        """Append a token; the row may be done then."""
        self.ids.append(token)
        self.done = token in eos or len(self.ids) >= self.room[1]
        if self.stopping and not self.done:
            self.done = bool(self.stopping(torch.tensor([self.ids], device=device), None).any())


class Rows:
    """Rows that are written greedily or by drawing; where some are finished, those that wait come in."""

    def __init__(self, task: Task, texts: list[Tensor], report: Report) -> None:
        config = task.config
        self.task, self.report, self.device = task, report, task.device
        self.copies = config.num_return_sequences or 1
        self.texts = [text for text in texts for _ in range(self.copies)]
        self.waiting = Waiting(self.texts, config, task.encodes, task.tokens)
        self.results: dict[int, Tensor] = {}
        self.eos = frozenset(config.eos_ids)
        # What reads prompts, what each row is asked by itself, and what looks at scores alone and serves all rows.
        self.reading = GenerationConfig(
            max_length=config.max_length,
            max_new_tokens=config.max_new_tokens,
            cache_implementation=config.cache_implementation,
            bos_token_id=config.bos_token_id,
            decoder_start_token_id=config.decoder_start_token_id,
        ).resolved()
        self.own = replace(config, do_sample=False, renormalize_logits=False, max_time=None)
        self.last = last_processors_for(config)
        self.rows: list[Row] = []
        self.decoder: Decoder | None = None
        self.scores = torch.empty(0)
        self.constraint: Constraint | None = None

    def write(self) -> list[Tensor]:
        """The written texts, in the order of the prompts."""
        self._take_in()
        while self.decoder is not None:
            tokens = self._choose()
            for row, token in zip(self.rows, tokens.tolist(), strict=True):
                if not row.done:
                    row.accept(token, self.eos, self.device)
            late = self.task.late
            leaving = late or self._is_time()
            if leaving:
                tokens = self._let_go(tokens, late)
            if self.decoder is not None:
                self.scores = self.decoder.feed(tokens[:, None])
            if leaving and not late:
                self._take_in()
        for number in self.waiting.order:
            self.results[number] = self.task.untouched(self.texts[number])
        return [self.results[number] for number in range(len(self.texts))]

    def _choose(self) -> Tensor:
        """The next token of each row."""
        scores = self.scores.float()
        if self.rows and self.rows[0].processors:
            scores = torch.cat(
                [self._processed(row, part) for row, part in zip(self.rows, scores.split(1), strict=True)]
            )
        for processor in self.last:
            scores = processor(torch.empty(0), scores)
        if self.task.config.do_sample:
            return torch.multinomial(scores.softmax(-1), 1, generator=self.task.callables.generator)[:, 0]
        return scores.argmax(-1)

    def _processed(self, row: Row, scores: Tensor) -> Tensor:
        return scores if row.done else row.processors(torch.tensor([row.ids], device=self.device), scores)

    def _is_time(self) -> bool:
        """Are rows to be exchanged: many are done, or with those that are the next token would be too much?"""
        assert self.decoder is not None
        assert self.decoder.cache is not None
        done = sum(row.done for row in self.rows)
        if done * SHARE >= len(self.rows):
            return True
        wide = max(row.room[0] for row in self.rows) + self.decoder.cache.get_seq_length() + 1
        return done > 0 and len(self.rows) * wide > self.task.tokens

    def _let_go(self, tokens: Tensor, all_of_them: bool) -> Tensor:
        """Give back the texts that are done; the next ``tokens`` of the rows that stay."""
        assert self.decoder is not None
        staying = [] if all_of_them else [at for at, row in enumerate(self.rows) if not row.done]
        for row in self.rows:
            if row.done or all_of_them:
                self.results[row.number] = torch.tensor(row.ids, device=self.device)
                if row.number % self.copies == 0:
                    self.report(1)
        self.rows = [self.rows[at] for at in staying]
        if not staying:
            self.decoder = None
            return tokens
        chosen = torch.tensor(staying, device=self.device)
        self.decoder.select(chosen)
        return tokens[chosen]

    def _take_in(self) -> None:
        """Read those prompts that fit, all in one pass without padding."""
        numbers = self.waiting.take([row.room for row in self.rows])
        if not numbers:
            return
        inputs = self.task.inputs([self.texts[number] for number in numbers])
        prompts = read_prompts(self.task.model, self.reading, inputs)
        limits_of(self.reading, prompts.ids)
        if self.task.callables.grammar is not None and self.constraint is None:
            self.constraint = self._follow(prompts)
        self.rows += [self._row(number, ids) for number, ids in zip(numbers, prompts.ids, strict=True)]
        if self.decoder is None:
            self.decoder, self.scores = prompts.decoder, prompts.scores
        else:
            self.decoder.join(prompts.decoder)
            self.scores = torch.cat((self.scores, prompts.scores))

    def _follow(self, prompts: Prompts) -> Constraint:
        """What makes all texts follow their grammars."""
        asked, eos = self.task.callables, self.task.config.eos_ids
        grammars = grammars_of(asked.grammar, len(self.texts) // self.copies)
        spaced = self.task.encodes and prompts.ids.shape[1] == 1
        return Constraint(grammars, asked.tokenizer, eos, prompts.scores.shape[-1], spaced)

    def _row(self, number: int, ids: Tensor) -> Row:
        ids, callables, room = ids[ids >= 0], self.task.callables, self.waiting.room(number)
        processors = processors_for(
            self.own,
            ids[None],
            torch.tensor([room[1]], device=self.device),
            self.texts[number][None],
            callables.prefix_allowed_tokens_fn,
            callables.logits_processor or (),
            number // self.copies,
            self.constraint and self.constraint.of(number // self.copies),
        )
        stopping = criteria_for(self.own, len(ids), callables.tokenizer, callables.stopping_criteria or ())
        return Row(number, ids.tolist(), room, processors, stopping)


# --- batch by batch -----------------------------------------------------------------------------------------------


def in_batches(task: Task, texts: list[Tensor], report: Report) -> list[Tensor]:
    """The same for searches that need the rows of a batch from beginning to end: beams, contrastive, guesses."""
    config, callables = task.config, task.callables
    copies = config.num_return_sequences or 1
    each = max(config.num_beams or 1, copies, int(config.top_k or 1) if config.contrastive else 1)
    waiting = Waiting(texts, config, task.encodes, task.tokens)
    results: dict[int, list[Tensor]] = {}
    while waiting and not task.late:
        numbers = waiting.take((), each)
        inputs = task.inputs([texts[number] for number in numbers])
        allowed = callables.prefix_allowed_tokens_fn
        added = replace(callables, prefix_allowed_tokens_fn=_renumbered(allowed, numbers))
        if callables.grammar is not None:
            grammars = grammars_of(callables.grammar, len(texts))
            added.grammar = [grammars[number] for number in numbers]
        found = generate(task.model, None, config, inputs, added)
        width = 1 if task.encodes else max(len(texts[number]) for number in numbers)
        for number, rows in zip(numbers, found.split(copies), strict=True):
            begin = task.untouched(texts[number])
            most = waiting.room(number)[1] - len(begin)
            results[number] = [torch.cat((begin, _end_cut(task, row[width : width + most]))) for row in rows]
        report(len(numbers))
    for number in waiting.order:
        results[number] = [task.untouched(texts[number])] * copies
    return [row for number in range(len(texts)) for row in results[number]]


def _renumbered(allowed: Callable[..., Any] | None, numbers: list[int]) -> Callable[..., Any] | None:
    """The caller's ``prefix_allowed_tokens_fn`` for a batch of the prompts ``numbers``."""
    return None if allowed is None else lambda row, ids: allowed(numbers[row], ids)


def _end_cut(task: Task, written: Tensor) -> Tensor:
    """What was written without the padding behind it."""
    config, eos = task.config, task.config.eos_ids
    ends = torch.isin(written, torch.tensor(eos, device=written.device, dtype=written.dtype)).nonzero()
    if len(ends):
        return written[: int(ends[0]) + 1]
    pad = config.pad_token_id if config.pad_token_id is not None else eos[0] if eos else 0
    real = (written != pad).nonzero()
    stops = bool(config.stop_strings or task.callables.stopping_criteria or config.max_time)
    return written[: int(real[-1]) + 1] if stops and len(real) else written
