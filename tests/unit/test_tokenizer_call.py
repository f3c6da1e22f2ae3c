"""Calling a tokenizer: ids equal the tokenizers library's, results equal transformers', mistakes are told."""

import itertools
import logging
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tokenizer_made import KINDS, SCRIPTS, corpus, folder, ours, raw, theirs
from tokenizers import Tokenizer as Backend

from headway.auto.tokenizer import AutoTokenizer
from headway.errors import HeadwayError, InputError, TokenizerError
from headway.tokenization import Tokenizer

pytestmark = pytest.mark.filterwarnings("ignore:.max_length. is ignored")

LONG = "one two three four five six seven eight nine ten"
TEXTS = [LONG, "a", "Hello, wonderful world!", ""]
PAIRS = ["x y", LONG, "", "b"]


def plain(encoding: Any) -> list[tuple[str, Any]]:
    """Return names and values in order, arrays and tensors as lists."""
    return [(name, value.tolist() if hasattr(value, "tolist") else value) for name, value in encoding.items()]


@pytest.mark.parametrize("kind", KINDS)
def test_ids_of_many_scripts_equal_both_libraries(kind: str) -> None:
    mine = ours(kind)(list(SCRIPTS))
    assert mine["input_ids"] == [encoding.ids for encoding in raw(kind).encode_batch(list(SCRIPTS))]
    assert plain(mine) == plain(theirs(kind)(list(SCRIPTS)))
    for text in SCRIPTS:
        assert plain(ours(kind)(text)) == plain(theirs(kind)(text))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=60), pair=st.none() | st.text(min_size=1, max_size=20), special=st.booleans())
def test_ids_of_any_text_equal_both_libraries(kind: str, text: str, pair: str | None, special: bool) -> None:
    mine = ours(kind)(text, pair, add_special_tokens=special)
    assert mine["input_ids"] == raw(kind).encode(text, pair, add_special_tokens=special).ids
    assert plain(mine) == plain(theirs(kind)(text, pair, add_special_tokens=special))
    ids = mine["input_ids"]
    assert ours(kind).decode(ids) == theirs(kind).decode(ids)
    assert ours(kind).decode(ids, skip_special_tokens=True) == theirs(kind).decode(ids, skip_special_tokens=True)


def option_sets() -> Iterator[dict[str, Any]]:
    """Yield combinations of padding, cutting and what to return."""
    paddings: list[dict[str, Any]] = [
        {},
        {"padding": True},
        {"padding": "longest", "padding_side": "left"},
        {"padding": True, "padding_side": "right", "pad_to_multiple_of": 4},
        {"padding": "max_length", "max_length": 12},
    ]
    cuts: list[dict[str, Any]] = [
        {},
        {"truncation": True, "max_length": 8},
        {"truncation": "longest_first", "max_length": 12, "stride": 2, "return_overflowing_tokens": True},
        {"truncation": False, "max_length": 12},
        {"truncation": True, "return_overflowing_tokens": True},
    ]
    returns: list[dict[str, Any]] = [
        {},
        {"return_special_tokens_mask": True, "return_offsets_mapping": True, "return_length": True},
        {"return_token_type_ids": True, "return_attention_mask": False, "add_special_tokens": False},
    ]
    for padding, cut, returned in itertools.product(paddings, cuts, returns):
        yield {**padding, **cut, **returned}


@pytest.mark.parametrize("kind", KINDS)
def test_padding_and_cutting_equal_transformers(kind: str) -> None:
    for options in option_sets():
        for inputs in ((TEXTS,), (TEXTS, PAIRS), (LONG,), (LONG, "b c"), (list(zip(TEXTS, PAIRS, strict=True)),)):
            mine, oracle = ours(kind)(*inputs, **options), theirs(kind)(*inputs, **options)
            assert plain(mine) == plain(oracle), (inputs, options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tensors", ["np", "pt"])
def test_tensors_equal_transformers(kind: str, tensors: str) -> None:
    for options in option_sets():
        # Without a cut, padding to 12 leaves longer rows as they are, and no tensor.
        if options.get("padding") and (options["padding"] != "max_length" or options.get("truncation")):
            mine = ours(kind)(TEXTS, return_tensors=tensors, **options)
            oracle = theirs(kind)(TEXTS, return_tensors=tensors, **options)
            assert plain(mine) == plain(oracle), options
            assert mine["input_ids"].dtype == oracle["input_ids"].dtype
            assert {name: type(value) for name, value in mine.items()} == {n: type(v) for n, v in oracle.items()}
    for options in ({}, {"padding": "max_length", "max_length": 4}):
        mine = ours(kind)(LONG, return_tensors=tensors, **options)
        oracle = theirs(kind)(LONG, return_tensors=tensors, **options)
        assert plain(mine) == plain(oracle)
        assert mine["input_ids"].shape == oracle["input_ids"].shape


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strategy", ["only_first", "only_second"])
def test_cutting_one_text_of_a_pair_equals_transformers(kind: str, strategy: str) -> None:
    options = {"truncation": strategy, "max_length": 40, "stride": 3, "return_overflowing_tokens": True}
    for tail in ("", " more words"):
        long = " ".join([LONG] * 4) + tail
        pair = (long, "b c") if strategy == "only_first" else ("b c", long)
        assert plain(ours(kind)(*pair, **options)) == plain(theirs(kind)(*pair, **options))


@pytest.mark.parametrize("kind", KINDS)
def test_words_equal_transformers(kind: str) -> None:
    rows = [LONG.split(), ["Hello", "unbelievable", "world", "!"], []]
    for inputs in ((rows,), (rows, rows[::-1]), (rows[0],), (rows[0], rows[1])):
        options = {"is_split_into_words": True, "padding": True}
        mine, oracle = ours(kind)(*inputs, **options), theirs(kind)(*inputs, **options)
        assert plain(mine) == plain(oracle)
        assert mine.word_ids(0) == oracle.word_ids(0)


@pytest.mark.parametrize("side", ["left", "right"])
def test_truncation_side(side: str) -> None:
    mine = AutoTokenizer.from_pretrained(folder("wordpiece"), truncation_side=side)
    words = mine.decode(mine(LONG, max_length=4, truncation=True)["input_ids"], skip_special_tokens=True)
    assert words == {"left": "nine ten", "right": "one two"}[side]


def test_targets_become_labels() -> None:
    assert plain(ours("unigram")("a", text_target="b c")) == plain(theirs("unigram")("a", text_target="b c"))
    assert plain(ours("unigram")(text_target=["b c"])) == plain(theirs("unigram")(text_target=["b c"]))
    both = ours("wordpiece")(["a", "b c"], text_target=["d e f", "g"], padding=True, return_tensors="np")
    assert both["labels"].shape == (2, 5)


def test_a_max_length_alone_cuts_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder("wordpiece"))
    with caplog.at_level(logging.WARNING, "headway"):
        for _ in range(2):
            assert plain(tokenizer(LONG, max_length=4)) == plain(theirs("wordpiece")(LONG, max_length=4))
        assert [record.message for record in caplog.records] == [
            "max_length is given without truncation: texts are cut. Pass truncation=True to say so."
        ]


def test_a_text_beyond_the_models_length_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder("wordpiece"), model_max_length=5)
    with caplog.at_level(logging.WARNING, "headway"):
        assert len(tokenizer(LONG)["input_ids"]) == len(tokenizer(LONG)["input_ids"]) == 12
        assert len(tokenizer(LONG, truncation=True)["input_ids"]) == 5
    assert len(caplog.records) == 1
    assert "12 tokens, more than the 5" in caplog.records[0].message


def test_a_doubled_start_is_told(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder("llama"))
    with caplog.at_level(logging.WARNING, "headway"):
        tokenizer("<s> a", add_special_tokens=False)
        assert not caplog.records
        assert tokenizer("<s> a")["input_ids"] == raw("llama").encode("<s> a").ids
    assert "A text starts with '<s>'" in caplog.records[0].message


def test_a_correct_program_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder("wordpiece"))
    tokenizer(TEXTS, padding=True, truncation=True, max_length=8, return_tensors="pt")
    assert not caplog.records


def test_calls_leave_no_trace() -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder("wordpiece"))
    before = plain(tokenizer(TEXTS))
    tokenizer(TEXTS, padding="max_length", truncation=True, max_length=6, padding_side="left")
    with pytest.raises(InputError):
        tokenizer(["a"], [LONG], truncation="only_first", max_length=6)
    assert tokenizer.backend_tokenizer.truncation is None
    assert tokenizer.backend_tokenizer.padding is None
    assert plain(tokenizer(TEXTS)) == before


def test_threads_do_not_disturb_each_other() -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder("wordpiece"))
    lengths = [None, 4, 7]
    expected = {n: len(tokenizer(LONG, truncation=n is not None, max_length=n)["input_ids"]) for n in lengths}
    wrong: list[object] = []

    def work(length: int | None) -> None:
        for _ in range(200):
            got = len(tokenizer(LONG, truncation=length is not None, max_length=length)["input_ids"])
            if got != expected[length]:
                wrong.append((length, got))

    threads = [threading.Thread(target=work, args=(length,)) for length in lengths * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_any_collection_of_texts_is_a_batch() -> None:
    tokenizer = ours("wordpiece")
    expected = plain(tokenizer(["a", "b c"]))
    for texts in (("a", "b c"), np.array(["a", "b c"]), (text for text in ["a", "b c"]), {"a": 1, "b c": 2}.keys()):
        assert plain(tokenizer(texts)) == expected


def test_an_empty_batch_is_empty() -> None:
    assert plain(ours("wordpiece")([])) == [("input_ids", []), ("token_type_ids", []), ("attention_mask", [])]
    assert ours("wordpiece")([], padding=True, return_tensors="pt")["input_ids"].shape == (0, 0)


BAD_CALLS: list[tuple[dict[str, Any], str]] = [
    ({"text": "a", "paddding": True}, r"takes no argument 'paddding'\. Did you mean 'padding'\?"),
    ({}, "pass text or text_target"),
    ({"text": 3}, "must be a text or a list of texts, not int 3"),
    ({"text": b"abc"}, "not bytes"),
    ({"text": {"text": "a"}}, "not dict"),
    ({"text": ["a", None]}, "Row 1 of text must be a text, not NoneType None"),
    ({"text": ["a", ["b"]]}, "is_split_into_words=True"),
    ({"text": [["a", "b"], ["c", "d", "e"]]}, "Row 1 of text must be a pair"),
    ({"text": "a", "is_split_into_words": True}, "must be a list of words"),
    ({"text": [["a"], [1]], "is_split_into_words": True}, "Row 1 of text must be a list of words"),
    ({"text": ["a"], "text_pair": ["b", "c"]}, "text has 1 rows but text_pair has 2"),
    ({"text": ["a"], "text_pair": "b"}, "text_pair must be"),
    ({"text": "a", "text_pair": ["b"]}, "text_pair must be one text too"),
    ({"text": ["fine", "bad \ud800"]}, r"Row 1 holds the lone surrogate '\\ud800' at character 4"),
    ({"text": "a", "padding": "longst"}, "Did you mean 'longest'"),
    ({"text": "a", "truncation": "first"}, "truncation='first' must be"),
    ({"text": "a", "padding_side": "top", "padding": True}, "padding_side must be 'left' or 'right'"),
    ({"text": "a", "return_tensors": "tf"}, r"return_tensors='tf' is not supported: there are 'pt'"),
    ({"text": "a", "return_tensors": "jax"}, "is not supported"),
    ({"text": ["a", "b c"], "return_tensors": "pt"}, "pass padding=True"),
    ({"text": ["a", "b c"], "return_tensors": "np"}, "pass padding=True"),
    ({"text": LONG, "truncation": True, "max_length": 1}, "the special tokens alone are 2"),
    ({"text": LONG, "truncation": True, "max_length": 0}, "max_length must be an integer of at least 1"),
    ({"text": LONG, "truncation": True, "max_length": "8"}, "max_length must be an integer"),
    ({"text": LONG, "truncation": True, "max_length": 8, "stride": 6}, "stride=6 must be less than the 6 tokens"),
    ({"text": LONG, "truncation": True, "max_length": 8, "stride": -1}, "stride must be an integer of at least 0"),
    ({"text": "a", "text_pair": LONG, "truncation": "only_first", "max_length": 6}, "cannot be tokenized"),
    ({"text": "a", "padding": True, "truncation": True, "max_length": 5, "pad_to_multiple_of": 8}, "no multiple"),
]


@pytest.mark.parametrize(("call", "message"), BAD_CALLS)
def test_mistakes_are_told(call: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ours("wordpiece")(**call)


def test_padding_without_a_pad_token_is_told_and_mended() -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder("gpt2"), pad_token=None)
    with pytest.raises(TokenizerError, match=r"tokenizer\.pad_token = tokenizer\.eos_token"):
        tokenizer(TEXTS, padding=True)
    tokenizer.pad_token = tokenizer.eos_token
    assert plain(tokenizer(TEXTS, padding=True)) == plain(theirs("gpt2")(TEXTS, padding=True))


def test_padding_to_an_unknown_length_is_told() -> None:
    with pytest.raises(InputError, match="needs max_length"):
        ours("llama")("a", padding="max_length")


def test_the_old_names_of_a_call() -> None:
    tokenizer = ours("wordpiece")
    assert plain(tokenizer.encode_plus("a", "b", return_tensors="pt")) == plain(
        tokenizer("a", "b", return_tensors="pt")
    )
    assert plain(tokenizer.batch_encode_plus([("a", "b")])) == plain(tokenizer([("a", "b")]))
    assert tokenizer.encode("a b") == theirs("wordpiece").encode("a b")
    assert tokenizer.encode(["a", "b"]) == theirs("wordpiece").encode(["a", "b"])
    assert torch.equal(
        tokenizer.encode("a b", return_tensors="pt"), theirs("wordpiece").encode("a b", return_tensors="pt")
    )
    for special in (True, False):
        expected = theirs("wordpiece").tokenize("unbelievable", add_special_tokens=special)
        assert tokenizer.tokenize("unbelievable", add_special_tokens=special) == expected
    with pytest.raises(InputError, match="takes one text, not 2"):
        tokenizer.tokenize(["a", "b"])
    assert tokenizer.tokenize("hello", "b") == theirs("wordpiece").tokenize("hello", "b")


PAD_INPUTS: list[Any] = [
    {"input_ids": [[1, 2], [3]], "labels": [[1, 2], [3]]},
    [{"input_ids": [1, 2], "labels": 1}, {"input_ids": [3], "labels": 0}],
    {"input_ids": [1, 2]},
    [
        {"input_ids": [1, 2], "token_type_ids": [0, 1], "attention_mask": [1, 1], "special_tokens_mask": [1, 1]},
        {"input_ids": [3], "token_type_ids": [0], "attention_mask": [1], "special_tokens_mask": [0]},
    ],
    [{"input_ids": torch.tensor([1, 2])}, {"input_ids": torch.tensor([3])}],
    [{"input_ids": np.array([1, 2])}, {"input_ids": np.array([3])}],
]
PAD_OPTIONS: list[dict[str, Any]] = [
    {},
    {"padding_side": "left"},
    {"padding": "max_length", "max_length": 5},
    {"pad_to_multiple_of": 8},
    {"padding_side": "left", "pad_to_multiple_of": 3, "return_attention_mask": True},
]


@pytest.mark.parametrize("inputs", PAD_INPUTS)
@pytest.mark.parametrize("options", PAD_OPTIONS)
def test_pad_equals_transformers(inputs: Any, options: dict[str, Any]) -> None:
    mine, oracle = ours("wordpiece").pad(inputs, **options), theirs("wordpiece").pad(inputs, **options)
    assert plain(mine) == plain(oracle)
    assert [type(value) for value in mine.values()] == [type(value) for value in oracle.values()]


def test_pad_without_padding_only_gathers() -> None:
    for inputs in PAD_INPUTS[:4]:
        mine, oracle = ours("wordpiece").pad(inputs, padding=False), theirs("wordpiece").pad(inputs, padding=False)
        assert plain(mine) == plain(oracle)


def test_pad_to_tensors() -> None:
    for inputs in (PAD_INPUTS[1], PAD_INPUTS[3], PAD_INPUTS[4]):
        for kind in ("pt", "np"):
            mine = ours("wordpiece").pad(inputs, return_tensors=kind)
            oracle = theirs("wordpiece").pad(inputs, return_tensors=kind)
            assert plain(mine) == plain(oracle)
            assert mine["input_ids"].dtype == oracle["input_ids"].dtype


def test_pad_says_what_is_wrong() -> None:
    with pytest.raises(InputError, match="must have 'input_ids': there are 'labels'"):
        ours("wordpiece").pad([{"labels": 1}])
    with pytest.raises(InputError, match="same keys"):
        ours("wordpiece").pad([{"input_ids": [1]}, {"ids": [1]}])
    with pytest.raises(InputError, match="'labels'"):
        ours("wordpiece").pad(PAD_INPUTS[0], return_tensors="pt")


def test_ids_do_not_depend_on_the_batch() -> None:
    texts = [line for text in corpus()[:1] for line in text.split("\n")[:300]]
    batch = ours("wordpiece")(texts, padding=True, return_tensors="np")
    for row, text in enumerate(texts):
        real = batch["attention_mask"][row].astype(bool)
        assert batch["input_ids"][row][real].tolist() == ours("wordpiece")(text)["input_ids"]


def test_a_tokenizer_of_ones_own() -> None:
    backend = Backend.from_file(str(folder("gpt2") / "tokenizer.json"))
    tokenizer = Tokenizer(backend, pad_token="<|endoftext|>", padding_side="left")
    assert tokenizer(["a", "b c d"], padding=True)["attention_mask"][0][0] == 0
    assert (
        Tokenizer(tokenizer_file=folder("gpt2") / "tokenizer.json")("a b")["input_ids"] == tokenizer("a b")["input_ids"]
    )
    with pytest.raises(InputError, match="Did you mean 'pad_token'"):
        Tokenizer(backend, pad_tokn="x")
    tokenizer.add_tokens(["newword"])
    assert backend.token_to_id("newword") is None
    with pytest.raises(InputError, match="either tokenizer_object or tokenizer_file"):
        Tokenizer()
    assert issubclass(InputError, HeadwayError)
