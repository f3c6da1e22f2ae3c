"""The texts of a call in the one shape that the ``tokenizers`` library takes: a list of rows."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from headway.errors import InputError


class Batch(NamedTuple):
    """``rows`` are texts or lists of words, or pairs of them if ``pairs``; ``single`` if there was no batch at all."""

    rows: list[Any]
    pairs: bool
    words: bool
    single: bool


def as_batch(text: Any, pair: Any, words: bool) -> Batch:
    """Return the rows that ``text`` and ``pair`` make up.

    Without ``words``: a text, or texts in any iterable, or pairs of texts. With ``words``: a list of words, or
    several. Raises InputError that names the first row that is none of these.
    """
    if words:
        return _word_batch(text, pair)
    if isinstance(text, str):
        if pair is not None and not isinstance(pair, str):
            raise InputError(f"text is one text, so text_pair must be one text too, not {_what(pair)}.")
        return Batch([text if pair is None else (text, pair)], pair is not None, False, True)
    rows = _listed("text", text)
    if pair is not None:
        return Batch(_zipped(rows, pair, _check_texts), True, False, False)
    if rows and isinstance(rows[0], list | tuple):
        return Batch([_as_pair(number, row) for number, row in enumerate(rows)], True, False, False)
    _check_texts("text", rows)
    return Batch(rows, False, False, False)


def undecodable(batch: Batch) -> InputError | None:
    """Return the error for the first row with a lone surrogate, which no UTF-8 text has; None if there is none."""
    for number, row in enumerate(batch.rows):
        for text in _leaves(row):
            try:
                text.encode()
            except UnicodeEncodeError as error:
                return InputError(
                    f"Row {number} holds the lone surrogate {text[error.start]!r} at character {error.start}, which "
                    "is no Unicode text: decode the file with errors='replace'."
                )
    return None


def _leaves(row: Any) -> Iterable[str]:
    return [row] if isinstance(row, str) else [text for part in row for text in _leaves(part)]


def _word_batch(text: Any, pair: Any) -> Batch:
    rows = _listed("text", text)
    single = not rows or isinstance(rows[0], str)
    if single:
        rows = [rows]
        pair = None if pair is None else [_listed("text_pair", pair)]
    if pair is not None:
        return Batch(_zipped(rows, pair, _check_words), True, True, single)
    _check_words("text", rows)
    return Batch(rows, False, True, single)


def _zipped(rows: list[Any], pair: Any, check: Any) -> list[Any]:
    seconds = _listed("text_pair", pair)
    if len(seconds) != len(rows):
        raise InputError(f"text has {len(rows)} rows but text_pair has {len(seconds)}: give one for each.")
    check("text", rows)
    check("text_pair", seconds)
    return list(zip(rows, seconds, strict=True))


def _listed(name: str, value: Any) -> list[Any]:
    """Return any collection of rows (list, tuple, array, column of a data set) as a list."""
    if isinstance(value, list):
        return value
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        expected = "a list of words" if isinstance(value, str) else "a text or a list of texts"
        raise InputError(f"{name} must be {expected}, not {_what(value)}.")
    return value.tolist() if hasattr(value, "tolist") else list(value)


def _check_texts(name: str, rows: list[Any]) -> None:
    for number, row in enumerate(rows):
        if not isinstance(row, str):
            hint = " Pass is_split_into_words=True for lists of words." if isinstance(row, list | tuple) else ""
            raise InputError(f"Row {number} of {name} must be a text, not {_what(row)}.{hint}")


def _check_words(name: str, rows: list[Any]) -> None:
    for number, row in enumerate(rows):
        if not isinstance(row, list | tuple) or not all(isinstance(word, str) for word in row):
            raise InputError(f"Row {number} of {name} must be a list of words (strings), not {_what(row)}.")


def _as_pair(number: int, row: Any) -> tuple[str, str]:
    if isinstance(row, list | tuple) and len(row) == 2 and all(isinstance(text, str) for text in row):
        return row[0], row[1]
    raise InputError(
        f"Row {number} of text must be a pair of texts like row 0, not {_what(row)}. Pass is_split_into_words=True "
        "for lists of words."
    )


def _what(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
