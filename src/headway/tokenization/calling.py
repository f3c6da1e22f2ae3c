"""Texts to the inputs of a model."""

import logging
from functools import partial
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Encoding

from headway.errors import InputError, TokenizerError
from headway.tokenization.chat import Prompt
from headway.tokenization.collating import Collating
from headway.tokenization.encoding import BatchEncoding
from headway.tokenization.inputs import Batch, as_batch, undecodable
from headway.tokenization.options import (
    UNKNOWN_LENGTH,
    Padding,
    Side,
    Truncation,
    count,
    padding_strategy,
    reject_unknown,
    side_of,
    truncation_strategy,
)
from headway.tokenization.tensors import pad_array, pad_rows, real_columns, tensor_kind, to_tensor
from headway.tokenization.translating import Translating

logger = logging.getLogger("headway.tokenization")


class _Asked(NamedTuple):
    """The arguments of a call, but for the texts."""

    add_special_tokens: bool
    padding: bool | str
    truncation: bool | str | None
    max_length: int | None
    stride: int
    pad_to_multiple_of: int | None
    padding_side: str | None
    return_tensors: str | None
    return_token_type_ids: bool | None
    return_attention_mask: bool | None
    return_overflowing_tokens: bool
    return_special_tokens_mask: bool
    return_offsets_mapping: bool
    return_length: bool
    verbose: bool


class _Job(NamedTuple):
    """A batch and how to encode it: all that decides on the ids before padding.

    A ``target`` is written in ``language``, where the model knows languages, or cut by the tokenizer of targets.
    """

    batch: Batch
    add_special_tokens: bool
    truncation: Truncation | None
    overflow: bool
    target: bool
    language: str | None


class _Layout(NamedTuple):
    """The shape of the result: rows of these lengths, in ``width`` columns if they are ``padded``.

    ``real`` is True where a row has a value, [rows, columns], if tensors are asked for.
    """

    lengths: list[int]
    width: int
    side: Side
    padded: bool
    real: np.ndarray[Any, Any] | None


class Calling(Collating, Translating):
    """The part of a tokenizer that turns texts into model inputs."""

    truncation_side: Side
    _lock: Lock
    _told: set[str]

    def __call__(
        self,
        text: Any = None,
        text_pair: Any = None,
        text_target: Any = None,
        text_pair_target: Any = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        **unknown: Any,
    ) -> BatchEncoding:
        """Turn texts into the inputs of a model.

        Args:
            text: a text, a batch of texts or a batch of pairs; with ``is_split_into_words`` a list of words or several.
            text_pair: the second text, or one for each row.
            text_target, text_pair_target: texts whose ids become "labels".
            add_special_tokens: whether to frame the texts as the model was trained to see them.
            padding: True or "longest" to the longest row; "max_length" to ``max_length``.
            truncation: True or "longest_first" cuts the longer text of a pair first; "only_first", "only_second".
                If it is not given, a ``max_length`` without padding cuts too, and a warning says so once.
            max_length: number of tokens, special ones included; ``model_max_length`` if it is not given.
            stride: how many tokens the pieces of an overlong text share.
            pad_to_multiple_of: round the padded length up.
            padding_side: "left" or "right", for this call.
            return_tensors: "pt" for torch tensors, "np" for NumPy arrays, both int64 [rows, length].
            return_token_type_ids, return_attention_mask: if None, what ``model_input_names`` says.
            return_overflowing_tokens: return the pieces that are cut off as rows of their own, and from which row each
                comes as "overflow_to_sample_mapping".
            return_special_tokens_mask: 1 for special tokens and padding.
            return_offsets_mapping: the characters of each token, as "offset_mapping".
            return_length: the length of each row, padding included.
            verbose: whether to warn of what may be a mistake.

        Returns:
            BatchEncoding with lists of integers for one text, lists of lists for several, or tensors [rows, length].

        Raises:
            InputError: an argument does not exist, has no sense or contradicts another, or rows make no tensor.
            TokenizerError: padding is asked for and there is no ``pad_token``.
        """
        if unknown:
            reject_unknown(self.__call__, unknown)
        asked = _Asked(
            add_special_tokens,
            padding,
            truncation,
            max_length,
            stride,
            pad_to_multiple_of,
            padding_side,
            tensor_kind(return_tensors),
            return_token_type_ids,
            return_attention_mask,
            return_overflowing_tokens,
            return_special_tokens_mask,
            return_offsets_mapping,
            return_length,
            verbose,
        )
        if text is None:
            if text_target is None:
                raise InputError("There is nothing to tokenize: pass text or text_target.")
            return self._inputs(as_batch(text_target, text_pair_target, is_split_into_words), asked, target=True)
        encoding = self._inputs(as_batch(text, text_pair, is_split_into_words), asked)
        if text_target is not None:
            labels = self._inputs(as_batch(text_target, text_pair_target, is_split_into_words), asked, target=True)
            encoding["labels"] = labels["input_ids"]
        return encoding

    def encode(self, text: Any, text_pair: Any = None, add_special_tokens: bool = True, **kwargs: Any) -> Any:
        """Return the ids of a text, or of each of several; arguments are ``__call__``'s."""
        return self(text, text_pair, add_special_tokens=add_special_tokens, **kwargs)["input_ids"]

    def encode_plus(self, text: Any, text_pair: Any = None, **kwargs: Any) -> BatchEncoding:
        """Return the model inputs of a text or pair; the same as calling the tokenizer."""
        return self(text, text_pair, **kwargs)

    def batch_encode_plus(self, batch_text_or_text_pairs: Any, **kwargs: Any) -> BatchEncoding:
        """Return the model inputs of texts or pairs; the same as calling the tokenizer."""
        return self(batch_text_or_text_pairs, **kwargs)

    def tokenize(self, text: Any, pair: Any = None, add_special_tokens: bool = False, **kwargs: Any) -> list[str]:
        """Return the tokens of a text as strings; further arguments are ``__call__``'s."""
        # Offsets are asked for because encodings without them have no tokens either.
        options = {"add_special_tokens": add_special_tokens, **kwargs, "return_offsets_mapping": True}
        rows = self(text, pair, **options).encodings or []
        if len(rows) != 1:
            raise InputError(f"tokenize() takes one text, not {len(rows)}: call the tokenizer, then tokens(row).")
        return rows[0].tokens

    def _inputs(self, batch: Batch, asked: _Asked, *, target: bool = False) -> BatchEncoding:
        job, pad = self._plan(batch, asked, target)
        # The library's fast way knows no offsets, and gets the token types of overflowing pieces of pairs wrong.
        fast = not (asked.return_offsets_mapping or job.overflow)
        rows, owners = self._encode(job, fast=fast)
        ids = [row.ids for row in rows]
        lengths = [len(row) for row in ids]
        longest = max(lengths, default=0)
        if asked.verbose and job.truncation is None and longest > self.model_max_length:
            self._tell(
                f"A text has {longest} tokens, more than the {self.model_max_length} that the model takes: pass "
                "truncation=True."
            )
        if asked.verbose and job.add_special_tokens and ids and self._starts_twice(ids[0]):
            self._tell(
                f"A text starts with {self.bos_token!r}, and so do the special tokens that are added to it: pass "
                "add_special_tokens=False for a prompt that has its special tokens."
            )
        side: Side = "right" if pad is None else pad.side
        width = longest if pad is None else pad.width(lengths)
        real = _real(lengths, width, side, pad is not None) if asked.return_tensors else None
        layout = _Layout(lengths, width, side, pad is not None, real)
        data = {"input_ids": _filled(ids, layout, self.pad_token_id or 0)}
        if self._wants("token_type_ids", asked.return_token_type_ids):
            types, fill = _type_ids(rows, batch), self.pad_token_type_id
            data["token_type_ids"] = _constant(0, layout, fill) if types is None else _filled(types, layout, fill)
        if self._wants("attention_mask", asked.return_attention_mask):
            data["attention_mask"] = _constant(1, layout, 0)
        if asked.return_special_tokens_mask:
            data["special_tokens_mask"] = _filled([row.special_tokens_mask for row in rows], layout, 1)
        if asked.return_offsets_mapping:
            data["offset_mapping"] = _filled([row.offsets for row in rows], layout, (0, 0))
        if asked.return_length:
            data["length"] = [max(length, layout.width) for length in lengths] if layout.padded else lengths
        if job.overflow:
            data["overflow_to_sample_mapping"] = owners
        if kind := asked.return_tensors:
            data = {name: to_tensor(name, value, kind) for name, value in data.items()}
        elif batch.single and not job.overflow:
            data = {name: value if name == "length" else value[0] for name, value in data.items()}
        encodings = partial(self._encodings, job, layout, None if fast else rows)
        return BatchEncoding(data, encodings, n_sequences=2 if batch.pairs else 1)

    def _plan(self, batch: Batch, asked: _Asked, target: bool) -> tuple[_Job, Padding | None]:
        language = self._target_code() if target else None
        framed = asked.add_special_tokens and not self._is_framed(batch)
        added = self._backend.num_special_tokens_to_add(batch.pairs) if framed else 0
        truncation = asked.truncation
        padding = padding_strategy(asked.padding)
        if truncation is None and asked.max_length is not None and padding != "max_length":
            truncation = padding is None
            if asked.verbose:
                what = "texts are cut. Pass truncation=True" if truncation else "it is ignored. Pass truncation=False"
                self._tell(f"max_length is given without truncation: {what} to say so.")
        cut = self._truncation(truncation, asked.max_length, asked.stride, added)
        pad = self._padding(asked.padding, asked.max_length, asked.pad_to_multiple_of, asked.padding_side, cut)
        return _Job(batch, framed, cut, asked.return_overflowing_tokens, target, language), pad

    def _truncation(self, truncation: object, max_length: int | None, stride: int, added: int) -> Truncation | None:
        strategy = truncation_strategy(truncation)
        if max_length is not None:
            max_length = count("max_length", max_length, least=1)
        if strategy is None:
            return None
        if max_length is None:
            if self.model_max_length > UNKNOWN_LENGTH:
                self._tell("truncation is asked for, but the model's length is not known: pass max_length to cut.")
                return None
            max_length = self.model_max_length
        if max_length < added:
            raise InputError(f"max_length={max_length} leaves no room: the special tokens alone are {added}.")
        stride = count("stride", stride)
        if stride and stride >= max_length - added:
            raise InputError(
                f"stride={stride} must be less than the {max_length - added} tokens of text that max_length="
                f"{max_length} leaves beside {added} special ones."
            )
        return Truncation(strategy, max_length, stride, side_of("truncation_side", self.truncation_side))

    def _encode(self, job: _Job, *, fast: bool) -> tuple[list[Encoding], list[int]]:
        """Return an encoding for each row, or piece of a row, and the rows they come from.

        ``fast`` encodings know ids, types and special tokens, but no offsets, tokens or words.
        """
        rows, _, words, _ = job.batch
        backend = self._target if job.target and self._target is not None else self._backend
        encode = backend.encode_batch_fast if fast else backend.encode_batch
        language = job.language
        try:
            # Truncation and language are states of the shared backend: they are set for one batch, with other threads
            # shut out.
            with self._lock:
                source = backend.post_processor if language else None
                try:
                    if language is not None:
                        self._speak(language)
                    if job.truncation is not None:
                        strategy, max_length, stride, side = job.truncation
                        backend.enable_truncation(max_length, stride=stride, strategy=strategy, direction=side)
                    encodings = encode(rows, is_pretokenized=words, add_special_tokens=job.add_special_tokens)
                finally:
                    if job.truncation is not None:
                        backend.no_truncation()
                    if language is not None:
                        backend.post_processor = source
        except Exception as error:  # the library raises nothing more special
            raise undecodable(job.batch) or InputError(f"The texts cannot be tokenized: {error}.") from error
        if not job.overflow:
            return encodings, []
        pieces = [(piece, number) for number, row in enumerate(encodings) for piece in (row, *row.overflowing)]
        return [piece for piece, _ in pieces], [number for _, number in pieces]

    def _encodings(self, job: _Job, layout: _Layout, rows: list[Encoding] | None) -> list[Encoding]:
        """Return padded encodings for the user who asks where the tokens come from; encode again if none are given."""
        if rows is None:
            rows, _ = self._encode(job, fast=False)
        if [len(row) for row in rows] != layout.lengths:
            raise TokenizerError("The tokenizer was changed after it made this batch: call it again.")
        if layout.padded:
            fill = {"pad_id": self.pad_token_id, "pad_token": self.pad_token, "pad_type_id": self.pad_token_type_id}
            for row in rows:
                row.pad(layout.width, direction=layout.side, **fill)
        return rows

    def _is_framed(self, batch: Batch) -> bool:
        """Whether the texts are rendered chats that start with the token that framing would add once more."""
        if not any(type(row) is Prompt for row in batch.rows):
            return False
        start = next(iter(self._frame_ids()[0]), None)
        token = None if start is None else self._backend.id_to_token(start)
        framed = [token is not None and type(row) is Prompt and row.startswith(token) for row in batch.rows]
        if any(framed) and not all(framed):
            raise InputError(
                f"Some rows are rendered chats that start with {token!r} and others are not, so special tokens fit one "
                "kind only: tokenize them apart, or pass add_special_tokens=False."
            )
        return any(framed)

    def _starts_twice(self, ids: list[int]) -> bool:
        start = ids[:2]
        return len(start) == 2 and start[0] == start[1] == self.bos_token_id

    def _tell(self, message: str) -> None:
        """Log a warning, once for each tokenizer."""
        if message not in self._told:
            self._told.add(message)
            logger.warning(message)


def _real(lengths: list[int], width: int, side: Side, padded: bool) -> np.ndarray[Any, Any]:
    """Return where rows of these lengths have values; InputError if they make no tensor."""
    shortest, longest = min(lengths, default=0), max(lengths, default=0)
    if shortest < longest and not (padded and longest <= width):
        raise InputError(
            f"The rows have {shortest} to {longest} tokens, so they make no tensor: pass padding=True, and "
            "truncation=True if they may be too long."
        )
    columns = max(width, longest)
    if shortest == columns:
        return np.ones((len(lengths), columns), dtype=bool)
    return real_columns(lengths, columns, side)


def _filled(rows: list[Any], layout: _Layout, fill: Any) -> Any:
    """Return rows as padded lists, or as an array if tensors are asked for."""
    if layout.real is not None:
        return pad_array(rows, layout.real, fill)
    return pad_rows(rows, layout.width, fill, layout.side) if layout.padded else rows


def _constant(value: int, layout: _Layout, fill: int) -> Any:
    """Return ``value`` for every token, as padded lists or as an array."""
    if layout.real is None:
        return _filled([[value] * length for length in layout.lengths], layout, fill)
    if value == fill:
        return np.full(layout.real.shape, value, dtype=np.int64)
    return np.where(layout.real, value, fill)


def _type_ids(rows: list[Encoding], batch: Batch) -> list[list[int]] | None:
    """Return the token types of each row, None if all are 0."""
    # All rows of single texts follow the same template, so the longest shows whether it has other types.
    if not batch.pairs and rows and not any(max(rows, key=len).type_ids):
        return None
    return [row.type_ids for row in rows]
