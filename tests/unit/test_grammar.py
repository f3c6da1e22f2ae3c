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
    "yes|no", "[ab]{3}", r"\d{3}-\d{4}", "(?:ab)*c", "a+b?", "[^a-z]{2,5}!", r"[a-z_]{1,6}@[a-z\d]{1,6}\.(com|org)",
    "größer(日本)?", "[😀-😂]{2}", r"-?(0|[1-9]\d{0,3})(\.\d{1,2})?", "(<tool>|<s>)x", "(?i:true)",
]  # fmt: skip
LARKS = {
    'start: "a" | "b" start "c"': lambda text: text == "b" * (len(text) // 2) + "a" + "c" * (len(text) // 2),
    'start: "(" start ")" | "x"': lambda text: text == "(" * (len(text) // 2) + "x" + ")" * (len(text) // 2),
    'start: pair ("," pair){0,2}\npair: KEY "=" /[0-9]{1,2}/\nKEY: /[a-z]{1,3}/': lambda text: re.fullmatch(
        r"[a-z]{1,3}=\d{1,2}(,[a-z]{1,3}=\d{1,2}){0,2}", text
    ),
}
CHOICES = [
    ["yes", "no"],
    ["a", "ab", "abc"],
    ["größer", "日本", "a\nb", '"quoted" \\', "\x01\x7f"],
    ["true", "true,"],
    ["", "x"],
]

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
    found = written(Lark(lark), search)
    assert all(LARKS[lark](text) for text, done in found if done), found
    assert any(done for _, done in found) or "pair" not in lark


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


def ready(*grammars: Any, tokens: Any = None) -> Constraint:
    tokens = tokens or tokenizer()
    return Constraint(grammars, tokens, [tokens.eos_token_id], len(tokens) + 7)


def test_beams_find_the_best_texts() -> None:
    """With as many beams as there are texts, beam search is exact."""
    grammar = Choices(["aa", "ab", "b", "cab", "größer", "yes no", "name"])
    ids = model().generate(
        **prompts(), tokenizer=tokenizer(), grammar=grammar, num_beams=24, num_return_sequences=4, length_penalty=0.0
    )
    ways = all_ways(grammar)
    given = prompts()
    for row in range(3):
        prompt = given["input_ids"][row][given["attention_mask"][row].bool()]
        best = sorted(ways, key=lambda way: -total(prompt, way))[:4]
        assert [text for text, _ in texts_of(ids[4 * row : 4 * row + 4], 6)] == [
            tokenizer().decode(way[:-1]) for way in best
        ]


def all_ways(grammar: Any) -> list[list[int]]:
    """All the ways in which the texts of a grammar may be written."""
    constraint, found, begun = ready(grammar), [], [[]]
    while begun:
        way: list[int] = begun.pop()
        scores = constraint.processor(0)(torch.tensor([way]).long().view(1, -1), torch.zeros(1, len(tokenizer()) + 7))
        for token in (scores[0] == 0).nonzero()[:, 0].tolist():
            (found if token == 2 else begun).append([*way, token])
    return found


def total(prompt: Tensor, ids: list[int]) -> float:
    with torch.no_grad():
        logs = model()(torch.cat((prompt, torch.tensor(ids)))[None]).logits.log_softmax(-1)
    return float(logs[0, len(prompt) - 1 : -1][range(len(ids)), ids].sum())


# --- masks --------------------------------------------------------------------------------------------------------


def test_masks_are_those_of_llguidance() -> None:
    """Token by token, for rows of different grammars that go on, end, change places and come again."""
    grammars = [JsonSchema(SCHEMAS["person"]), Regex("[ab]{2,9}"), Choices(["yes", "no"])]
    constraint = ready(*grammars)
    processor = constraint.processor(2)
    draw = torch.Generator().manual_seed(0)
    rows = torch.full((6, 2), 9)  # two rows of each prompt
    matchers = [start.deep_copy() for start in constraint.starts for _ in range(2)]
    ended = [False] * 6
    size = len(tokenizer())
    for step in range(30):
        scores = torch.randn(6, size + 7, generator=draw)
        found = processor(rows, scores)
        for row, matcher in enumerate(matchers):
            if ended[row]:
                assert torch.equal(found[row], scores[row])
                continue
            allowed = torch.tensor(list(matcher.compute_logit_bias())) > 0
            assert torch.equal(found[row, :size].isfinite(), allowed)
            assert not found[row, size:].isfinite().any()
            assert torch.equal(found[row, :size][allowed], scores[row, :size][allowed])
        tokens = found.softmax(-1).multinomial(1, generator=draw)
        for row, token in enumerate(tokens[:, 0].tolist()):
            ended[row] = ended[row] or token == 2
            if not ended[row]:
                assert matchers[row].consume_token(token)
        rows = torch.cat((rows, tokens), 1)
        if step % 3 == 2:  # both rows go on from one of the two, or change places
            order = [[1, 0], [0, 0], [1, 1]][step // 3 % 3]
            places = [2 * prompt + place for prompt in range(3) for place in order]
            rows, ended = rows[places], [ended[place] for place in places]
            matchers = [matchers[place].deep_copy() for place in places]
    assert any(ended)
    assert not all(ended)


def test_without_a_grammar_nothing_is_loaded() -> None:
    code = """
import sys, torch, headway
from small import small_model
from headway.generation import build, constraint, generate, grammar
headway.JsonSchema({}), headway.Choices(["a"])
small_model("gpt2", "causal-lm").generate(torch.ones(1, 3).long(), max_new_tokens=2)
print("llguidance" in sys.modules)
"""
    tests = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tests)
    assert done.stdout.strip() == "False"


# --- other searches and models ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["person", "nested", "unicode enum"])
def test_guesses_change_nothing(name: str) -> None:
    asked = {
        **prompts(), "tokenizer": tokenizer(), "grammar": JsonSchema(SCHEMAS[name], whitespace=False),
        "max_new_tokens": 40,
    }  # fmt: skip
    greedy = model().generate(**asked)
    assert torch.equal(model().generate(**asked, prompt_lookup_num_tokens=4), greedy)
    for helper in (model(), model(seed=3)):
        assert torch.equal(model().generate(**asked, assistant_model=helper), greedy)
    assert texts_of(model().generate(**asked, use_cache=False), 6) == texts_of(greedy, 6)


def test_contrastive_search() -> None:
    """Also where fewer tokens are allowed than it looks at, and likeness counts for nearly all."""
    for alpha in (0.6, 0.99):
        for text, done in written(Regex("[ab]{12}"), "greedy", penalty_alpha=alpha, top_k=8, rows=8):
            assert done
            assert re.fullmatch("[ab]{12}", text)


def test_guidance_and_penalties() -> None:
    asked = {"guidance_scale": 1.7, "repetition_penalty": 1.4, "no_repeat_ngram_size": 3, "remove_invalid_values": True}
    for text, done in written(Regex("[a-z]{5}"), "greedy", **asked):
        assert done
        assert re.fullmatch("[a-z]{5}", text)


@pytest.mark.parametrize(
    "sampler", [{"top_p": 0.5}, {"min_p": 0.5}, {"typical_p": 0.5}, {"eta_cutoff": 0.1}, {"top_n_sigma": 1.0}]
)
@pytest.mark.parametrize("beams", [1, 3])
def test_what_sampling_leaves_out(sampler: dict[str, float], beams: int) -> None:
    for text, done in written(
        Choices(["yes", "no", "maybe"]), "sampling", renormalize_logits=True, num_beams=beams, **sampler
    ):
        assert done
        assert text in ("yes", "no", "maybe")


@searches
@pytest.mark.parametrize("model_type", ["t5", "bart"])
def test_encoder_decoders(model_type: str, search: str) -> None:
    forced = {"forced_bos_token_id": 0, "forced_eos_token_id": 2} if model_type == "bart" else {}
    ids = model(model_type, "seq2seq-lm").generate(
        **prompts(), tokenizer=tokenizer(), grammar=Regex("[a-f]{1,4}x"), max_new_tokens=8, **SEARCHES[search], **forced
    )
    if forced:
        assert (ids[:, 1] == 0).all()
    for text, done in texts_of(ids, 2 if forced else 1):
        assert done
        assert re.fullmatch("[a-f]{1,4}x", text)


def test_a_text_that_is_cut_is_the_beginning_of_one() -> None:
    for forced in (None, 2):
        ids = model().generate(
            **prompts(), tokenizer=tokenizer(), grammar=Regex("[ab]{50}"), max_new_tokens=9, forced_eos_token_id=forced
        )
        for text, done in texts_of(ids, 6):
            assert re.fullmatch("[ab]+", text)
            assert done == (forced == 2)


# --- vocabularies -------------------------------------------------------------------------------------------------


@cache
def pieces(kind: str) -> Any:
    """A tokenizer of sentencepiece's kind."""
    options: dict[str, Any] = {
        "llama": {
            "model_type": "bpe",
            "byte_fallback": True,
            "normalization_rule_name": "identity",
            "vocab_size": 1000,
        },
        "unigram": {"byte_fallback": True, "vocab_size": 900, "character_coverage": 0.98, "required_chars": "<0x>"},
    }[kind]
    from test_tokenizer_made import temporary_folder

    path = temporary_folder() / f"{kind}.model"
    path.write_bytes(pieces_of(**options))
    file = read_sentencepiece(path)
    backend = segmenter(file, file.pieces, "always" if file.add_dummy_prefix else "never")
    backend.add_special_tokens(["<s>", "</s>", "<unk>"])
    return headway.Tokenizer(backend, eos_token="</s>", bos_token="<s>", unk_token="<unk>")


@pytest.mark.parametrize("kind", ["bytes", "llama", "unigram"])
def test_bytes_of_tokens_are_those_of_texts(kind: str) -> None:
    tokens = tokenizer() if kind == "bytes" else pieces(kind)
    vocabulary = tokens.byte_vocabulary()
    assert len(vocabulary.tokens) == len(tokens)
    plain = [id for id in range(len(tokens)) if id not in vocabulary.special]
    draw = torch.Generator().manual_seed(0)
    for _ in range(300):
        ids = [plain[at] for at in torch.randint(len(plain), (6,), generator=draw)]
        text = b"".join(vocabulary.tokens[id] for id in ids).decode(errors="replace")
        if vocabulary.drops_first_space:
            text = text.removeprefix(" ")
        if "\ufffd" not in text:
            assert tokens.decode(ids) == text
    for text in (b"the quick", b" the", "größe 日".encode(), b"a<s>b", b"\xff\x00", "Ж".encode()[:1], b"  x", b""):
        ids = vocabulary.encode(text)
        assert b"".join(vocabulary.tokens[id] for id in ids) == text
        assert not vocabulary.special.intersection(ids)


@searches
@pytest.mark.parametrize("kind", ["llama", "unigram"])
def test_pieces(kind: str, search: str) -> None:
    tokens = pieces(kind)
    options = {"tokenizer": tokens, "eos_token_id": tokens.eos_token_id, "max_new_tokens": 60, **SEARCHES[search]}
    texts = ["the quick brown", "größe", "日本"]
    plain = writer("gpt2", vocab_size=len(tokens), max_position_embeddings=200)
    ids = plain.generate(**prompts(), grammar=Choices(texts), **options)
    for row in ids[:, 6:].tolist():
        assert tokens.decode(row[: row.index(tokens.eos_token_id)]) in texts
    ids = plain.generate(**prompts(), grammar=JsonSchema(SCHEMAS["person"], whitespace=False), **options)
    for row in ids[:, 6:].tolist():
        if tokens.eos_token_id in row:
            assert valid(json.loads(tokens.decode(row[: row.index(tokens.eos_token_id)])), SCHEMAS["person"])


def test_a_text_of_an_encoder_decoder_may_begin_with_a_space_that_is_not_its_own() -> None:
    """T5 writes "▁the", which is decoded as "the"."""
    tokens = pieces("unigram")
    start = Constraint([Choices(["the quick"])], tokens, [tokens.eos_token_id], len(tokens), spaced=True)
    scores = start.processor(0)(torch.zeros(1, 0).long(), torch.zeros(1, len(tokens)))
    first = {tokens.convert_ids_to_tokens(id) for id in (scores[0] == 0).nonzero()[:, 0].tolist()}
    assert {"▁the", "▁"} <= first
    assert "the" in first or "t" in first
    options = {"tokenizer": tokens, "eos_token_id": tokens.eos_token_id, "max_new_tokens": 60}
    plain = writer("t5", "seq2seq-lm", vocab_size=len(tokens))
    for grammar, pattern in ((Choices(["the quick"]), "the quick"), (SCHEMAS["digit"], "[0-9]"), (Regex("a+b"), "a+b")):
        for row in plain.generate(**prompts(), grammar=grammar, **options).tolist():
            if tokens.eos_token_id in row:
                assert re.fullmatch(pattern, tokens.decode(row[1 : row.index(tokens.eos_token_id)]))


def test_words_stand_for_no_bytes() -> None:
    backend = tokenizers.Tokenizer(tokenizers.models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2}, unk_token="[UNK]"))
    for decoder in (tokenizers.decoders.WordPiece(), None, tokenizers.decoders.BPEDecoder()):
        if decoder is not None:
            backend.decoder = decoder
        with pytest.raises(TokenizerError, match="byte-level and sentencepiece vocabularies do"):
            ByteVocabulary(backend)


def test_special_tokens_where_a_grammar_names_them() -> None:
    ids = model().generate(
        **prompts(), tokenizer=tokenizer(), grammar=Lark('start: <tool> "a"'), max_new_tokens=5, pad_token_id=1
    )
    assert ids[:, 6:].tolist() == [[3, tokenizer().convert_tokens_to_ids("a"), 2]] * 3


# --- what cannot be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        (Regex("(a+"), "Regex(pattern='(a+') cannot be followed: at 1(8): invalid regex"),
        (Regex("(?=a)b"), "look-around, including look-ahead and look-behind, is not supported"),
        (Regex(r"[^\s\S]"), "no text fits it"),
        (Lark("start: foo"), 'unknown name: "foo"'),
        (Lark("begin: foo"), "no start rule found"),
        ({"type": "objec"}, "Invalid type: objec"),
        ({"not": {"type": "string"}}, 'Unimplemented keys: ["not"]'),
        (closed(a={"minimum": 5, "maximum": 3, "type": "integer"}), "required property 'a' is unsatisfiable"),
        ({"enum": []}, "anyOf is empty"),
        ("yes", "grammar='yes' is no grammar: give headway.JsonSchema, Regex, Lark or Choices"),
        ([Regex("a")], "There are 1 grammars for 3 prompts"),
        ([Regex("a"), Regex("b"), 5], "grammar=5 is no grammar"),
    ],
)
def test_wrong_grammars(grammar: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        model().generate(**prompts(), tokenizer=tokenizer(), grammar=grammar)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: JsonSchema("{"), "The schema '{' is not JSON"),
        (lambda: JsonSchema({"a": {1}}), "is not JSON"),
        (lambda: JsonSchema(False), "A JSON schema is a dictionary, not False"),
        (lambda: JsonSchema([1]), "A JSON schema is a dictionary, not [1]"),
        (lambda: Regex(re.compile("a")), "Regex takes its pattern as text"),  # type: ignore[arg-type]
        (lambda: Lark(5), "Lark takes its grammar as text, not 5"),  # type: ignore[arg-type]
        (lambda: Lark(' {"type": "object"}'), "for a JSON schema use JsonSchema"),
        (lambda: Choices([]), "Choices takes a list of one text or more"),
        (lambda: Choices("yes"), "not 'yes'"),
        (lambda: Choices(["a", 1]), "not ['a', 1]"),  # type: ignore[list-item]
    ],
)
def test_what_is_no_grammar(made: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        made()
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"tokenizer": None}, "pass the model's tokenizer"),
        ({"tokenizer": "gpt2"}, "not a str"),
        ({"eos_token_id": None}, "pass eos_token_id"),
        ({"min_new_tokens": 30}, "Every token is forbidden for row 0"),
        ({"min_new_tokens": 30, "num_beams": 3}, "Every token is forbidden for row 0"),
        ({"min_new_tokens": 30, "num_beams": 3, "do_sample": True}, "Every token is forbidden for row 0"),
        ({"min_new_tokens": 30, "prompt_lookup_num_tokens": 2}, "Every token is forbidden for row 0"),
        ({"min_new_tokens": 30, "penalty_alpha": 0.5, "top_k": 3}, "Every token is forbidden for row 0"),
        ({"min_new_tokens": 30, "remove_invalid_values": True}, None),
        ({"num_beams": 3, "num_return_sequences": 3}, "there are 2 texts that are not forbidden"),
        (
            {"num_beams": 4, "num_return_sequences": 3, "grammar": Choices(["jqj", "kzk"])},
            "there are 2 texts that are not forbidden",
        ),
    ],
)
def test_what_leaves_nothing_to_write(asked: dict[str, Any], message: str) -> None:
    given = {**prompts(), "tokenizer": tokenizer(), "grammar": Choices(["y", "n"]), "renormalize_logits": True, **asked}
    if message is None:  # what was forbidden has become unlikely, and is allowed where nothing else is
        assert all(text in ("y", "n") for text, _ in texts_of(model().generate(**given), 6))
        return
    with pytest.raises(InputError) as error:
        model().generate(**given)
    assert message in str(error.value)


@pytest.mark.parametrize("asked", [{}, {"renormalize_logits": True}, {"do_sample": True, "eta_cutoff": 1e-30}])
def test_a_beam_that_cannot_go_on_is_given_up(asked: dict[str, Any]) -> None:
    """What is no part of the grammar forbids "xb"; beams that began so die, the others go on."""
    bad = [[tokenizer().convert_tokens_to_ids(char) for char in "xb"]]
    for text, done in written(Lark('start: "xb" | "yc" | "zd"'), "beams", bad_words_ids=bad, **asked):
        assert done
        assert text in ("yc", "zd")


def test_schemas_of_classes() -> None:
    class Answer:
        @classmethod
        def model_json_schema(cls) -> dict[str, Any]:
            return SCHEMAS["nested"]

    for grammar in (Answer, JsonSchema(json.dumps(SCHEMAS["nested"]))):
        for text, done in written(grammar, "beams"):
            assert not done or valid(json.loads(text), SCHEMAS["nested"])


def test_without_llguidance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'headway[grammar]'")):
        model().generate(**prompts(), tokenizer=tokenizer(), grammar=Regex("a"))


def test_a_vocabulary_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    written(Regex("a"), "greedy")
    monkeypatch.setattr(ByteVocabulary, "__init__", None)
    written(Regex("b"), "greedy")
