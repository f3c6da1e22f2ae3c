"""BatchEncoding: a dictionary that knows the way back to words and characters."""

import pickle
from pprint import pformat
from typing import Any

import pytest
import torch
from test_tokenizer_made import KINDS, folder, ours, theirs

from headway.auto.tokenizer import AutoTokenizer
from headway.errors import InputError, TokenizerError
from headway.tokenization import BatchEncoding

TEXTS = ["Hello unbelievable world!", "Straße, naïve café"]
PAIRS = ["a second one", "and more"]
LONG = "one two three four five six seven eight nine ten"


def test_it_prints_as_users_know() -> None:
    encoding = ours("wordpiece")("I love deep learning.")
    assert pformat(encoding) == (
        "{'attention_mask': [1, 1, 1, 1, 1, 1, 1],\n"
        " 'input_ids': [101, 1045, 2293, 2784, 4083, 1012, 102],\n"
        " 'token_type_ids': [0, 0, 0, 0, 0, 0, 0]}"
    )
    assert repr(ours("gpt2")("a")) == "{'input_ids': [65], 'attention_mask': [1]}"


def test_it_is_a_dictionary() -> None:
    encoding = ours("wordpiece")("a", return_tensors="pt")
    assert list(encoding.keys()) == ["input_ids", "token_type_ids", "attention_mask"]
    assert list(encoding) == list(dict(**encoding))
    assert encoding.input_ids is encoding["input_ids"] is encoding.get("input_ids")
    assert "input_ids" in encoding
    assert "labels" not in encoding
    assert len(encoding) == 3
    with pytest.raises(KeyError, match="labels"):
        encoding["labels"]
    with pytest.raises(AttributeError, match=r"no 'input_idz'\. Did you mean 'input_ids'"):
        _ = encoding.input_idz
    encoding["labels"] = 1
    assert encoding.pop("labels") == 1
    assert not hasattr(encoding, "labels")


def answers(encoding: Any) -> list[Any]:
    """Return all that there is to ask about a batch of two."""
    found: list[Any] = [encoding.n_sequences, encoding.is_fast]
    for row in range(2):
        found += [encoding.tokens(row), encoding.word_ids(row), encoding.sequence_ids(row)]
        length = len(encoding.tokens(row))
        for token in range(length):
            found += [encoding.token_to_chars(row, token), encoding.token_to_sequence(row, token)]
            found.append(encoding.token_to_word(row, token))
        for sequence in range(encoding.n_sequences):
            for position in range(12):
                if encoding.word_to_tokens(row, position, sequence) is not None:  # where transformers would crash
                    found.append(encoding.word_to_chars(row, position, sequence))
                found += [
                    encoding.char_to_token(row, position, sequence),
                    encoding.char_to_word(row, position, sequence),
                    encoding.word_to_tokens(row, position, sequence),
                ]
    for position in range(5):
        found += [encoding.token_to_chars(position), encoding.char_to_token(position), encoding.token_to_word(position)]
        found += [encoding.word_to_tokens(0), encoding.char_to_word(position)]
    return [tuple(item) if isinstance(item, tuple) else item for item in found]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_way_back_equals_transformers(kind: str, side: str) -> None:
    options: list[dict[str, Any]] = [{}, {"padding": True, "padding_side": side}]
    options.append({"padding": "max_length", "max_length": 16, "truncation": True, "padding_side": side})
    for option in options:
        for inputs in ((TEXTS,), (TEXTS, PAIRS)):
            assert answers(ours(kind)(*inputs, **option)) == answers(theirs(kind)(*inputs, **option))


def test_the_way_back_of_pieces_and_words() -> None:
    options = {"truncation": True, "max_length": 6, "return_overflowing_tokens": True, "padding": True}
    mine, oracle = ours("wordpiece")([LONG, "a"], **options), theirs("wordpiece")([LONG, "a"], **options)
    for row in range(len(oracle["input_ids"])):
        assert mine.tokens(row) == oracle.tokens(row)
        assert mine.word_ids(row) == oracle.word_ids(row)
    assert mine.token_to_sequence(-2) == mine.token_to_sequence(len(mine.tokens()) - 2)
    assert mine.token_to_chars(-2) == mine.token_to_chars(len(mine.tokens()) - 2)
    mine = ours("wordpiece")(["unbelievable", "words"], is_split_into_words=True)
    assert mine.word_ids() == theirs("wordpiece")(["unbelievable", "words"], is_split_into_words=True).word_ids()


def test_rows_are_encodings() -> None:
    encoding = ours("wordpiece")(TEXTS)
    assert encoding[0].ids == encoding["input_ids"][0]
    assert [row.ids for row in encoding[:]] == encoding["input_ids"]
    assert len(encoding.encodings) == 2
    start, end = encoding[0].offsets[1]
    assert TEXTS[0][start:end] == "Hello"


def test_a_tokenizer_changed_since_is_told() -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder("wordpiece"))
    encoding = tokenizer("unbelievably unlikely")
    tokenizer.add_tokens(["unbelievably"])
    with pytest.raises(TokenizerError, match="changed after it made this batch"):
        encoding.tokens()


def test_one_that_no_call_made_has_no_way_back() -> None:
    padded = ours("wordpiece").pad([{"input_ids": [1]}])
    assert padded.encodings is None
    assert not padded.is_fast
    for ask in (padded.tokens, padded.word_ids, lambda: padded[0], lambda: padded.char_to_token(0)):
        with pytest.raises(TokenizerError, match="does not know the texts"):
            ask()


def test_pickling_keeps_the_way_back() -> None:
    encoding = ours("wordpiece")(TEXTS, padding=True, return_tensors="pt")
    again = pickle.loads(pickle.dumps(encoding))
    assert torch.equal(again.input_ids, encoding.input_ids)
    assert again.word_ids(1) == encoding.word_ids(1)
    assert list(pickle.loads(pickle.dumps(BatchEncoding({"a": 1})))) == ["a"]


def test_moving_and_turning_into_tensors() -> None:
    encoding = BatchEncoding({"input_ids": [[1, 2]], "weights": [[0.5, 1.0]]}, tensor_type="pt")
    assert encoding.to("cpu") is encoding
    assert encoding.to(torch.device("meta")).input_ids.device.type == "meta"
    assert encoding["weights"].dtype == torch.float32
    single = BatchEncoding({"input_ids": [1, 2]}).convert_to_tensors("np", prepend_batch_axis=True)
    assert single["input_ids"].shape == (1, 2)
    mixed = BatchEncoding({"input_ids": torch.ones(1), "text": "kept"}).to("meta")
    assert mixed["text"] == "kept"
    with pytest.raises(InputError, match="'input_ids' makes no tensor"):
        BatchEncoding({"input_ids": [[1, 2], [3]]}, tensor_type="pt")
    with pytest.raises(InputError, match="'tf' is not supported"):
        BatchEncoding({"input_ids": [1]}, tensor_type="tf")


@pytest.mark.parametrize("kind", KINDS)
def test_offsets_are_the_characters(kind: str) -> None:
    text = "Größe, naïve café 東京 done"
    encoding = ours(kind)(text, return_offsets_mapping=True)
    assert encoding["offset_mapping"] == theirs(kind)(text, return_offsets_mapping=True)["offset_mapping"]
    assert encoding["offset_mapping"] == encoding[0].offsets
    assert encoding.word_to_chars(99) is None
