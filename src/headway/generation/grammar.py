"""Grammars that written text must follow, as they are given to ``generate(grammar=...)``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headway.errors import InputError


class Grammar:
    """A set of texts; ``generate(grammar=...)`` writes one of them."""


@dataclass(frozen=True)
class JsonSchema(Grammar):
    """JSON that a schema allows.

    Args:
        schema: a schema as a dictionary or as JSON text, or a class with ``model_json_schema()`` such as pydantic's.
        whitespace: allow blanks and line breaks between the parts; otherwise there are none.
    """

    schema: Any
    whitespace: bool = True

    def __post_init__(self) -> None:
        self.as_text()

    def as_text(self) -> str:
        """The schema as JSON.

        Raises:
            InputError: it is none.
        """
        schema = self.schema
        if hasattr(schema, "model_json_schema"):
            schema = schema.model_json_schema()
        try:
            values = json.loads(schema) if isinstance(schema, str) else schema
            text = json.dumps(values)
        except (TypeError, ValueError) as error:
            raise InputError(f"The schema {shown(schema)} is not JSON ({error}); give a dictionary.") from None
        if not isinstance(values, Mapping):
            raise InputError(f"A JSON schema is a dictionary, not {shown(schema)}.")
        return text


@dataclass(frozen=True)
class Regex(Grammar):
    """Texts that a regular expression matches from end to end (syntax of the Rust crate regex, without look-around)."""

    pattern: str

    def __post_init__(self) -> None:
        _need_text(self.pattern, "Regex", "pattern")


@dataclass(frozen=True)
class Lark(Grammar):
    """Texts of a context-free grammar in Lark's syntax, whose first rule is ``start``.

    Special tokens can be written by name, such as ``<|tool|>``, and are allowed nowhere else.
    """

    text: str

    def __post_init__(self) -> None:
        _need_text(self.text, "Lark", "grammar")
        if self.text.lstrip().startswith("{"):
            raise InputError(f"{shown(self.text)} is no grammar in Lark's syntax; for a JSON schema use JsonSchema.")


@dataclass(frozen=True)
class Choices(Grammar):
    """One of some texts."""

    texts: Sequence[str]

    def __post_init__(self) -> None:
        texts = self.texts
        if isinstance(texts, str) or not texts or not all(isinstance(text, str) for text in texts):
            raise InputError(f"Choices takes a list of one text or more, such as ['yes', 'no'], not {shown(texts)}.")
        object.__setattr__(self, "texts", tuple(texts))


def grammars_of(given: Any, rows: int) -> list[Grammar | None]:
    """What ``generate`` was given as ``grammar``, for each of ``rows`` prompts.

    Raises:
        InputError: it is no grammar, or not one for each prompt.
    """
    if not isinstance(given, list | tuple):
        return [_grammar(given)] * rows
    if len(given) != rows:
        raise InputError(f"There are {len(given)} grammars for {rows} prompts; give one for all, or one for each.")
    return [None if item is None else _grammar(item) for item in given]


def _grammar(given: Any) -> Grammar:
    if isinstance(given, Grammar):
        return given
    if isinstance(given, dict) or hasattr(given, "model_json_schema"):
        return JsonSchema(given)
    raise InputError(
        f"grammar={shown(given)} is no grammar: give headway.JsonSchema, Regex, Lark or Choices, a JSON schema as a "
        "dictionary, or a list with one for each prompt."
    )


def _need_text(value: Any, kind: str, what: str) -> None:
    if not isinstance(value, str):
        raise InputError(f"{kind} takes its {what} as text, not {shown(value)}.")


def shown(value: Any) -> str:
    """A value in an error, not at length."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
