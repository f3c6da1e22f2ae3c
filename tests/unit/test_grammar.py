"""Grammars: what is written follows them, whatever the search; masks are llguidance's; errors say what is wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
from pieces import model as pieces_of
from test_generate import writer
from torch import Tensor

import headway
from headway import Choices, InputError, JsonSchema, Lark, MissingExtraError, Regex, TokenizerError
from headway.generation.constraint import Constraint
from headway.tokenization.byte_vocabulary import ByteVocabulary
from headway.tokenization.segmenting import segmenter
from headway.tokenization.sentencepiece import read_sentencepiece

llguidance = pytest.importorskip("llguidance", reason="the extra headway[grammar] is not installed")

TEXTS = ['{"name": "Ada", "tags": ["a", "b"], "on": true, "n": null}', "yes no maybe", "größer 日本 12.5e-3", "a@b.org"]


@cache
def tokenizer() -> Any:
    """Byte-level pairs, so that one character may be several tokens; some special tokens and one that is plain."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<s>", "<pad>", "</s>", "<tool>"],
        show_progress=False,
    )
    made.train_from_iterator(TEXTS * 3, trainer)
    made.add_tokens(["true,"])
    return headway.Tokenizer(made, pad_token="<pad>", eos_token="</s>", bos_token="<s>")


@cache
def model(model_type: str = "gpt2", task: str = "causal-lm", seed: int = 1) -> Any:
    """Of more tokens than the tokenizer knows, as many checkpoints are."""
    return writer(model_type, task, seed, vocab_size=len(tokenizer()) + 7, max_position_embeddings=400)


def prompts(rows: int = 3) -> dict[str, Tensor]:
    ids = torch.randint(5, 200, (rows, 6), generator=torch.Generator().manual_seed(3))
    mask = torch.ones_like(ids)
    for row in range(1, rows):
        mask[row, : row % 4] = 0
    return {"input_ids": ids, "attention_mask": mask}


def texts_of(ids: Tensor, start: int) -> list[tuple[str, bool]]:
    """What was written, and whether it was finished."""
    found = []
    for row in ids[:, start:].tolist():
        end = row.index(2) if 2 in row else None
        assert not {0, 1, 3}.intersection(row[:end]), "special tokens stand in no text"
        found.append((tokenizer().decode(row[:end]), end is not None))
    return found


# --- a validator of what the schemas below say ---------------------------------------------------------------------

_TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int,
    "number": (int, float),
}  # fmt: skip


def valid(value: Any, schema: Any, root: Any = None) -> bool:
    """Does the value fit the schema? For the keywords that stand below."""
    root = schema if root is None else root
    if isinstance(schema, bool):
        return schema
    checks = {
        "type": lambda kinds: any(
            isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
            for kind in ([kinds] if isinstance(kinds, str) else kinds)
        ),
        "enum": lambda values: value in values,
        "const": lambda only: value == only,
        "minimum": lambda least: value >= least,
        "maximum": lambda most: value <= most,
        "exclusiveMinimum": lambda least: value > least,
        "exclusiveMaximum": lambda most: value < most,
        "multipleOf": lambda step: value % step == 0,
        "minLength": lambda least: len(value) >= least,
        "maxLength": lambda most: len(value) <= most,
        "pattern": lambda pattern: re.search(pattern, value) is not None,
        "items": lambda item: all(valid(one, item, root) for one in value[len(schema.get("prefixItems", [])) :]),
        "prefixItems": lambda items: all(valid(one, item, root) for one, item in zip(value, items, strict=False)),
        "minItems": lambda least: len(value) >= least,
        "maxItems": lambda most: len(value) <= most,
        "properties": lambda parts: all(valid(value[key], part, root) for key, part in parts.items() if key in value),
        "required": lambda keys: all(key in value for key in keys),
        "additionalProperties": lambda rest: all(
            valid(one, rest, root) for key, one in value.items() if key not in schema.get("properties", {})
        ),
        "anyOf": lambda some: any(valid(value, one, root) for one in some),
        "oneOf": lambda some: any(valid(value, one, root) for one in some),
        "allOf": lambda parts: all(valid(value, one, root) for one in parts),
        "$ref": lambda path: valid(value, root["$defs"][path.rsplit("/")[-1]], root),
        "format": lambda name: re.fullmatch(_FORMATS[name], value) is not None,
    }
    return all(checks[key](part) for key, part in schema.items() if key in checks)


_FORMATS = {"date": r"\d{4}-\d\d-\d\d", "uuid": r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"}


def closed(**parts: Any) -> dict[str, Any]:
    """An object with all of these parts and no others."""
    return {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}


SHORT = {"type": "string", "maxLength": 4}
SCHEMAS: dict[str, Any] = {
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "digit": {"type": "integer", "minimum": 0, "maximum": 9},
    "negative": {"type": "integer", "minimum": -30, "maximum": -12},
    "bounded number": {"type": "number", "minimum": 0.5, "exclusiveMaximum": 2},
    "multiples": {"type": "integer", "minimum": 0, "maximum": 60, "multipleOf": 7},
    "string": SHORT,
    "string of a length": {"type": "string", "minLength": 3, "maxLength": 5},
    "unicode enum": {"enum": ["größer", "日本", "😀", "\u2028", 'a"b\\c', 5, None, [1], {"é": True}]},
    "const": {"const": {"a": [1, 2, {"b": "ü"}]}},
    "pattern": {"type": "string", "pattern": "^[a-f]{2}[0-9]+$", "maxLength": 6},
    "date": {"type": "string", "format": "date"},
    "uuid": {"type": "string", "format": "uuid"},
    "empty object": closed(),
    "object": closed(a={"type": "boolean"}, b=SHORT),
    "unicode keys": closed(**{"größe": {"type": "boolean"}, "日": {"type": "null"}, 'q"': {"const": 1}}),
    "optional": {**closed(a={"type": "boolean"}, b={"type": "null"}, c={"enum": [1, 2]}), "required": ["b"]},
    "all optional": {**closed(a={"type": "boolean"}, b={"type": "null"}), "required": []},
    "nested": closed(a=closed(b=closed(c={"enum": ["x", "y"]})), d={"type": "boolean"}),
    "array": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4},
    "empty array": {"type": "array", "maxItems": 0},
    "array of objects": {"type": "array", "items": closed(a={"type": "boolean"}), "minItems": 1, "maxItems": 2},
    "tuple": {
        "type": "array", "prefixItems": [{"type": "boolean"}, SHORT], "items": False, "minItems": 2, "maxItems": 2
    },
    "any of": {"anyOf": [{"type": "boolean"}, closed(x={"type": "null"}), {"const": "word"}]},
    "all of": {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 5}]},
    "types": {"type": ["boolean", "null"]},
    "reference": {"$ref": "#/$defs/p", "$defs": {"p": closed(on={"$ref": "#/$defs/q"}), "q": {"type": "boolean"}}},
    "recursion": {
        "$ref": "#/$defs/t",
        "$defs": {"t": closed(v={"enum": [0, 1]}, next={"anyOf": [{"type": "null"}, {"$ref": "#/$defs/t"}]})},
    },
    "further keys": {
        "type": "object", "properties": {"a": {"type": "boolean"}}, "additionalProperties": {"type": "null"},
        "required": ["a"],
    },
    "person": closed(
        name=SHORT, age={"type": "integer", "minimum": 0, "maximum": 120},
        tags={"type": "array", "items": {"enum": ["new", "old"]}, "maxItems": 2},
    ),
}  # fmt: skip
REGEXES = [
    "yes|no", "[ab]{3}", r"\d{3}-\d{4}", "(?:ab)*c", "a+b?", "[^a-z]{2,5}!", r"\w{1,6}@\w{1,6}\.(com|org)", "größer(日本)?",
    "[😀-😂]{2}", r"-?(0|[1-9]\d{0,3})(\.\d{1,2})?", "(<tool>|<s>)x", "(?i:true)",
]  # fmt: skip
LARKS = {
    'start: "a" | "b" start "c"': r"b*ac*",
    'start: pair ("," pair){0,2}\npair: KEY "=" /[0-9]{1,2}/\nKEY: /[a-z]{1,3}/': r"[a-z]{1,3}=\d{1,2}(,[a-z]{1,3}=\d{1,2}){0,2}",
    'start: "(" start ")" | "x"': r"\(*x\)*",
}  # fmt: skip
CHOICES = [["yes", "no"], ["a", "ab", "abc"], ["größer", "日本", "a\nb", '"quoted" \\', "\x01\x7f"], ["true", "true,"], ["", "x"]]

SEARCHES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "sampling": {"do_sample": True, "top_k": 0, "temperature": 1.5},
    "beams": {"num_beams": 3},
}
searches = pytest.mark.parametrize("search", SEARCHES)


def written(grammar: Any, search: str, most: int = 120, **asked: Any) -> list[tuple[str, bool]]:
    given = prompts(asked.pop("rows", 3))
    ids = model().generate(
        **given, tokenizer=tokenizer(), grammar=grammar, max_new_tokens=most, **SEARCHES[search], **asked,
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    return texts_of(ids, 6)


@searches
@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas(name: str, search: str) -> None:
    finished = 0
    for text, done in written(JsonSchema(SCHEMAS[name], whitespace=False), search):
        finished += done
        if done:
            assert valid(json.loads(text), SCHEMAS[name]), text
    assert finished or name in ("recursion", "further keys", "bounded number"), "none came to an end"


@searches
def test_whitespace(search: str) -> None:
    for text, done in written(SCHEMAS["nested"], search, most=60, eos_token_id=2):
        if done:
            assert valid(json.loads(text), SCHEMAS["nested"])
        assert re.sub(r"\s", "", text).startswith('{"a"'[: len(re.sub(r"\s", "", text))])


@searches
@pytest.mark.parametrize("pattern", REGEXES)
def test_regexes(pattern: str, search: str) -> None:
    found = written(Regex(pattern), search)
    assert all(re.fullmatch(pattern, text) for text, done in found if done), found
    assert any(done for _, done in found) or "*" in pattern or "+" in pattern


@searches
@pytest.mark.parametrize("lark", LARKS)
def test_context_free_grammars(lark: str, search: str) -> None:
    for text, done in written(Lark(lark), search):
        if done:
            assert re.fullmatch(LARKS[lark], text)
            assert text.count("b") == text.count("c") or "start" in lark[6:12] or "pair" in lark
            assert text.count("(") == text.count(")")


@searches
@pytest.mark.parametrize("options", CHOICES, ids=repr)
def test_choices(options: list[str], search: str) -> None:
    found = written(Choices(options), search)
    assert {text for text, _ in found} <= set(options)
    assert all(done for _, done in found)


@searches
def test_each_row_has_its_own(search: str) -> None:
    grammars = [Choices(["yes", "no"]), None, SCHEMAS["person"], Regex("[ab]{9}")]
    found = written(grammars, search, rows=4)
    assert found[0][0] in ("yes", "no")
    assert len(found[1][0]) > 5
    assert not found[2][1] or valid(json.loads(found[2][0]), SCHEMAS["person"])
    assert re.fullmatch("[ab]{9}", found[3][0])
    if search == "greedy":
        alone = []
        for row, grammar in enumerate(grammars):
            given = {name: value[row : row + 1] for name, value in prompts(4).items()}
            ids = model().generate(**given, tokenizer=tokenizer(), grammar=[grammar], max_new_tokens=120)
            alone += texts_of(ids, 6)
        assert alone == found


def test_several_texts_of_a_prompt() -> None:
    grammars = [Choices(["yes", "no"]), Regex("[0-9]{4}"), Regex("[ab]{2}")]
    for asked in ({"num_beams": 4, "num_return_sequences": 2}, {"do_sample": True, "num_return_sequences": 2}):
        ids = model().generate(**prompts(), tokenizer=tokenizer(), grammar=grammars, **asked)
        texts = [text for text, done in texts_of(ids, 6) if done]
        assert len(texts) == 6
        for text, pattern in zip(texts, ["yes|no"] * 2 + ["[0-9]{4}"] * 2 + ["[ab]{2}"] * 2, strict=True):
            assert re.fullmatch(pattern, text)
        if "num_beams" in asked:
            assert len({*texts[:2]}) == len({*texts[2:4]}) == len({*texts[4:]}) == 2


def test_beams_find_the_best_text() -> None:
    """With as many beams as there are texts, beam search is exact."""
    options = ["aa", "ab", "b", "cab", "größer"]
    ids = model().generate(
        **prompts(), tokenizer=tokenizer(), grammar=Choices(options), num_beams=8, num_return_sequences=5, length_penalty=0.0
    )  # fmt: skip
    found = [text for text, _ in texts_of(ids, 6)]
    given = prompts()
    for row in range(3):
        prompt = given["input_ids"][row][given["attention_mask"][row].bool()]
        scored = []
        for option in options:
            # llguidance writes what is certain in the tokenizer's own way, so other ways do not count.
            best = max(_total(prompt, way) for way in _ways(option.encode()))
            scored.append((best, option))
        assert found[5 * row] in options
        assert set(found[5 * row : 5 * row + 5]) <= set(options)
        assert max(scored)[0] >= _total(prompt, _ids(found[5 * row])) - 1e-4


def _ids(text: str) -> list[int]:
    return [*tokenizer()(text, add_special_tokens=False)["input_ids"], 2]


def _ways(text: bytes) -> list[list[int]]:
    tokens = {token: id for id, token in enumerate(tokenizer().byte_vocabulary().tokens) if id > 3}
    if not text:
        return [[2]]
    return [
        [tokens[text[:size]], *rest]
        for size in range(1, len(text) + 1)
        if text[:size] in tokens
        for rest in _ways(text[size:])
    ]


def _total(prompt: Tensor, ids: list[int]) -> float:
    whole = torch.cat((prompt, torch.tensor(ids)))[None]
    with torch.no_grad():
        logs = model()(whole).logits.log_softmax(-1)[0, len(prompt) - 1 : -1]
    return float(logs[range(len(ids)), ids].sum())
