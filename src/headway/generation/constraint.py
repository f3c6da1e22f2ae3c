"""Scores of tokens that would leave a grammar are made minus infinity; llguidance says which those are."""

from __future__ import annotations

import json
import re
import weakref
from collections.abc import Sequence
from copy import copy
from typing import Any

import torch
from torch import Tensor

from headway.errors import InputError, MissingExtraError
from headway.generation.grammar import Choices, Grammar, JsonSchema, Lark, Regex, shown
from headway.generation.processors import MINUS_INFINITY, LogitsProcessor

_BITS = tuple(1 << bit for bit in range(8))


class Constraint:
    """Grammars, ready to be followed.

    Args:
        grammars: one for each prompt; None leaves a row as it is.
        tokenizer: the model's.
        eos: ids that end a row, which they may where the grammar may end.
        size: tokens that the model scores.
        spaced: texts begin at the very beginning, where some vocabularies write a space that is not the text's own.

    Raises:
        MissingExtraError: llguidance is not installed.
        InputError: a grammar is wrong, or there is no tokenizer or no end of sequence.
    """

    def __init__(
        self, grammars: Sequence[Grammar | None], tokenizer: Any, eos: Sequence[int], size: int, spaced: bool = False
    ) -> None:
        _need_llguidance()
        if not hasattr(tokenizer, "byte_vocabulary"):
            given = "" if tokenizer is None else f", not a {type(tokenizer).__name__}"
            raise InputError(
                "A grammar is followed in text: pass the model's tokenizer (of headway.AutoTokenizer) too, as "
                f"generate(tokenizer=...){given}."
            )
        if not any(id < size for id in eos):
            raise InputError(
                "A grammar says where a text may end, but the model has no token for that; pass eos_token_id, such as "
                "tokenizer.eos_token_id."
            )
        self.eos = frozenset(eos)
        vocabulary, drops_first_space = _vocabulary(tokenizer, tuple(id for id in eos if id < size), size)
        self.size: int = vocabulary.vocab_size
        sources = [None if grammar is None else _source(grammar) for grammar in grammars]
        ready = {
            source: _matcher(vocabulary, _spaced(source) if spaced and drops_first_space else source, grammar)
            for source, grammar in zip(sources, grammars, strict=True)
            if source is not None and grammar is not None
        }
        self.starts = [None if source is None else ready[source] for source in sources]

    def of(self, prompt: int) -> Constraint:
        """That of one prompt alone."""
        found = copy(self)
        found.starts = self.starts[prompt : prompt + 1]
        return found

    def processor(self, start: int, ends: Tensor | None = None, alone: bool = True) -> GrammarLogitsProcessor:
        """What follows the grammars.

        Args:
            start: column at which the texts begin.
            ends: columns ``[prompts]`` before which another processor forces the last token.
            alone: each row must be able to go on; of beams, one that cannot is given up.
        """
        return GrammarLogitsProcessor(self, start, ends, alone)


class GrammarLogitsProcessor(LogitsProcessor):
    """Forbids what the grammar of each row does not allow; see ``Constraint.processor``."""

    def __init__(self, constraint: Constraint, start: int, ends: Tensor | None, alone: bool) -> None:
        from llguidance import LLExecutor

        self.starts, self.start, self.alone = constraint.starts, start, alone
        self.ends = None if ends is None else ends.tolist()
        self._eos, self._size = constraint.eos, constraint.size
        self._executor = LLExecutor() if len(self.starts) > 1 else None
        # What was written when last asked, on the CPU, and what has read it: None where a row has ended.
        self._ids = torch.empty(0, 0, dtype=torch.int64)
        self._rows: list[Any] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        width = input_ids.shape[1]
        if width < self.start:
            return scores
        self._follow(input_ids[:, self.start :].cpu())
        live = [(matcher, row) for row, matcher in enumerate(self._rows) if matcher is not None]
        if self.ends is not None:
            forced = [end == width + 1 for end in self.ends]
            live = [(matcher, row) for matcher, row in live if not forced[row * len(forced) // len(scores)]]
        if not live:
            return scores
        allowed = self._allowed(live, len(self._rows), scores.device)
        found = torch.where(allowed, scores[:, : self._size], MINUS_INFINITY)
        if self._size < scores.shape[1]:
            # Tokens of which the tokenizer knows nothing.
            rest = scores[:, self._size :].clone()
            rest[[row for _, row in live]] = MINUS_INFINITY
            found = torch.cat((found, rest), 1)
        if self.alone:
            stuck = (found.amax(1) == MINUS_INFINITY).tolist()
            for _, row in live:
                if stuck[row]:
                    raise nothing_left(row * len(self.starts) // len(scores))
        return found

    def _follow(self, ids: Tensor) -> None:
        """Read what was written since last time, ``ids [rows, written]`` being all of it."""
        rows, known = ids.shape[0], ids.shape[1] - 1
        if known >= 0 and self._ids.shape == (rows, known):
            if torch.equal(ids[:, :-1], self._ids):
                parents: list[int] = list(range(rows))
                unread = ids[:, -1:].tolist()
            else:
                parents, unread = self._parents(ids)
        else:
            parents, unread = [-1] * rows, ids.tolist()
        taken: set[int] = set()
        found = []
        for row, parent in enumerate(parents):
            matcher = self.starts[row * len(self.starts) // rows] if parent < 0 else self._rows[parent]
            if matcher is not None and (parent < 0 or parent in taken):
                matcher = matcher.deep_copy()
            taken.add(parent)
            found.append(matcher)
        self._rows = [
            None if matcher is None or not self._read(matcher, tokens) else matcher
            for matcher, tokens in zip(found, unread, strict=True)
        ]
        self._ids = ids

    def _parents(self, ids: Tensor) -> tuple[list[int], list[list[int]]]:
        """The row of last time, of the same prompt, that each row goes on from, and what it adds."""
        prompts, rows = len(self.starts), ids.shape[0]
        new, old = (part.view(prompts, rows // prompts, -1) for part in (ids[:, :-1], self._ids))
        same = (new[:, :, None] == old[:, None]).all(-1)
        first = torch.arange(prompts)[:, None] * (rows // prompts)
        places = torch.where(same.any(-1), first + same.int().argmax(-1), -1).flatten().tolist()
        return places, [row[-1:] if place >= 0 else row for place, row in zip(places, ids.tolist(), strict=True)]

    def _read(self, matcher: Any, tokens: list[int]) -> bool:
        """Read ``tokens``; is there more to come? A row that ended, by whatever, has tokens behind its end."""
        return matcher.try_consume_tokens(tokens) == len(tokens) and not (tokens and tokens[-1] in self._eos)

    def _allowed(self, live: list[tuple[Any, int]], rows: int, device: torch.device) -> Tensor:
        """Which tokens may follow, ``[rows, size]``; all in rows that are not ``live``."""
        bits = torch.full((rows, (self._size + 31) // 32 * 4), 255, dtype=torch.uint8)
        width = bits.shape[1]
        if self._executor is None or len(live) == 1:
            for matcher, row in live:
                matcher.unsafe_compute_mask_ptr(bits[row].data_ptr(), width)
        else:
            self._executor.unsafe_compute_mask_ptr(live, bits.data_ptr(), width, rows)
        for matcher, _ in live:
            if matcher.is_error():
                raise InputError(f"The grammar cannot be followed any further: {_said(matcher.get_error())}.")
        each = torch.tensor(_BITS, dtype=torch.uint8, device=device)
        return (bits.to(device)[:, :, None] & each).flatten(1)[:, : self._size] != 0


def nothing_left(prompt: int) -> InputError:
    """The error where every token that may follow was forbidden."""
    return InputError(
        f"Every token is forbidden for row {prompt}: between its grammar, the vocabulary, min_new_tokens, "
        "bad_words_ids, suppress_tokens and other processors nothing is left to write; let one of them allow more."
    )


def _need_llguidance() -> None:
    try:
        import llguidance  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "Grammars are followed by llguidance, which is not installed: pip install 'headway[grammar]'."
        ) from error


# Making a large vocabulary ready takes a while: those of living tokenizers are kept.
_READY: weakref.WeakKeyDictionary[Any, dict[Any, tuple[Any, bool]]] = weakref.WeakKeyDictionary()


def _vocabulary(tokenizer: Any, eos: tuple[int, ...], size: int) -> tuple[Any, bool]:
    """llguidance's form of a vocabulary, of ``size`` tokens at most, and whether it drops a first space."""
    from llguidance import LLTokenizer, TokenizerWrapper

    ready = _READY.setdefault(tokenizer, {})
    key = (len(tokenizer), tuple(tokenizer.all_special_ids), eos, size)
    if key not in ready:
        made = _Wrapped(tokenizer.byte_vocabulary(), eos, size)
        ready[key] = LLTokenizer(TokenizerWrapper(made), eos_token=list(eos)), made.drops_first_space
    return ready[key]


class _Wrapped:
    """A vocabulary as llguidance asks for it."""

    bos_token_id = None

    def __init__(self, vocabulary: Any, eos: tuple[int, ...], size: int) -> None:
        self.tokens = [*vocabulary.tokens[:size], *[b""] * (1 + max(eos) - len(vocabulary.tokens))]
        self.eos_token_id = eos[0]
        self.special_token_ids = sorted({id for id in vocabulary.special if id < size}.union(eos))
        self.drops_first_space = vocabulary.drops_first_space
        self._encode, self._size = vocabulary.encode, size

    def __call__(self, text: bytes) -> list[int]:
        ids: list[int] = self._encode(text)
        return next((ids[:at] for at, id in enumerate(ids) if id >= self._size), ids)


def _source(grammar: Grammar) -> str:
    """A grammar as llguidance reads it."""
    from llguidance import LLMatcher

    if isinstance(grammar, JsonSchema):
        return LLMatcher.grammar_from_json_schema(
            grammar.as_text(), overrides={"whitespace_flexible": grammar.whitespace}
        )
    if isinstance(grammar, Regex):
        return LLMatcher.grammar_from_regex(grammar.pattern)
    if isinstance(grammar, Choices):
        return LLMatcher.grammar_from_lark("start: " + " | ".join(map(json.dumps, grammar.texts)))
    assert isinstance(grammar, Lark)
    return LLMatcher.grammar_from_lark(grammar.text)


def _spaced(source: str) -> str:
    """A grammar of the same texts, and of those with a space before them."""
    inner = json.loads(source)["grammars"][0] if source.lstrip().startswith("{") else {"lark_grammar": source}
    return json.dumps({"grammars": [{"lark_grammar": 'start: " "? @text'}, {**inner, "name": "text"}]})


def _matcher(vocabulary: Any, source: str, grammar: Grammar) -> Any:
    """What follows a grammar, at its start."""
    from llguidance import LLMatcher, LLParserLimits

    made = LLMatcher(vocabulary, source, log_level=0, limits=LLParserLimits(verbose_errors=False))
    tried = made.deep_copy()
    if not tried.is_error():
        tried.compute_bitmask()  # that no text fits shows only here
    if tried.is_error():
        raise InputError(f"{shown(grammar)} cannot be followed: {_said(tried.get_error())}.")
    return made


def _said(message: str) -> str:
    """llguidance's message in one line, without the excerpts in which it points at things."""
    message = message.partition("<state>")[0].strip()
    if message.startswith("NoExtension"):
        return "no text fits it that this vocabulary can write"
    lines = re.split(r"\n *\d+ \| ", message)[0].splitlines()
    return " ".join(line.strip() for line in lines if set(line) - set(" ^")).rstrip(".")
