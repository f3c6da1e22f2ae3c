"""Special tokens, vocabulary and decoding."""

from typing import Any

import numpy as np
import pytest
import torch
from test_tokenizer_made import KINDS, SCRIPTS, folder, ours, theirs
from tokenizers import AddedToken

from headway.auto.tokenizer import AutoTokenizer
from headway.errors import InputError, TokenizerError
from headway.tokenization.special import ROLES


def fresh(kind: str = "wordpiece", **settings: Any) -> Any:
    return AutoTokenizer.from_pretrained(folder(kind), **settings)


@pytest.mark.parametrize("kind", KINDS)
def test_roles_and_their_ids_equal_transformers(kind: str) -> None:
    for role in ROLES:
        assert getattr(ours(kind), role) == getattr(theirs(kind), role)
        assert getattr(ours(kind), f"{role}_id") == getattr(theirs(kind), f"{role}_id")
    assert ours(kind).additional_special_tokens == theirs(kind).extra_special_tokens


def test_roles_can_be_set() -> None:
    tokenizer = fresh("gpt2", pad_token=None)
    assert tokenizer.pad_token is None
    assert tokenizer.pad_token_id is None
    tokenizer.pad_token = tokenizer.eos_token
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    tokenizer.pad_token = None
    tokenizer.pad_token_id = 5
    assert tokenizer.pad_token == tokenizer.convert_ids_to_tokens(5)
    tokenizer.pad_token_id = None
    assert "pad_token" not in tokenizer.special_tokens_map


def test_a_role_for_an_unknown_token_is_told() -> None:
    tokenizer = fresh("gpt2")
    with pytest.raises(TokenizerError, match=r"'<new>', which is not in the vocabulary: add it"):
        tokenizer.pad_token = "<new>"
    with pytest.raises(TokenizerError, match="No token has the id 99999"):
        tokenizer.pad_token_id = 99999
    with pytest.raises(InputError, match="must be a token as text"):
        tokenizer.pad_token = 3
    with pytest.raises(AttributeError, match=r"no 'pad_tokn'\. Did you mean 'pad_token'"):
        _ = tokenizer.pad_tokn


def test_adding_tokens() -> None:
    tokenizer, size = fresh(), len(ours("wordpiece"))
    assert tokenizer.add_tokens(["foobar", AddedToken("quux", single_word=True)]) == 2
    assert tokenizer.add_special_tokens({"bos_token": "<bos>", "additional_special_tokens": ["<x>"]}) == 2
    assert len(tokenizer) == size + 4
    assert tokenizer.vocab_size == size
    assert tokenizer.tokenize("a foobar quux quuxes <x>")[:3] == ["a", "foobar", "quux"]
    assert tokenizer.bos_token_id == size + 2
    assert tokenizer.additional_special_tokens == tokenizer.extra_special_tokens == ["<x>"]
    assert tokenizer.additional_special_tokens_ids == [size + 3]
    tokenizer.add_special_tokens({"additional_special_tokens": ["<y>"]}, replace_extra_special_tokens=False)
    assert tokenizer.additional_special_tokens == ["<x>", "<y>"]
    tokenizer.additional_special_tokens = ["<z>"]
    assert tokenizer.all_special_tokens[-1] == "<z>"
    assert tokenizer.get_added_vocab()["foobar"] == size
    with pytest.raises(InputError, match=r"'pad_tok' is no role .* Did you mean 'pad_token'"):
        tokenizer.add_special_tokens({"pad_tok": "<pad>"})
    assert tokenizer.decode([size + 2, size], skip_special_tokens=True) == "foobar"


def test_adding_leaves_the_users_token_as_it_was() -> None:
    token = AddedToken("<mine>", special=False)
    fresh().add_special_tokens({"pad_token": token})
    assert not token.special


@pytest.mark.parametrize("kind", KINDS)
def test_vocabulary_equals_transformers(kind: str) -> None:
    mine, oracle = ours(kind), theirs(kind)
    assert mine.get_vocab() == mine.vocab == oracle.get_vocab()
    for tokens in ("zzz-unknown-zzz", ["a", "zzz-unknown-zzz", "the"], []):
        assert mine.convert_tokens_to_ids(tokens) == oracle.convert_tokens_to_ids(tokens)
    special = [0, 5, 101, 2]
    for ids in (7, special, np.array(special), torch.tensor(special)):
        assert mine.convert_ids_to_tokens(ids) == oracle.convert_ids_to_tokens(ids)
    for skip in (True, False):
        assert mine.convert_ids_to_tokens(special, skip) == oracle.convert_ids_to_tokens(special, skip)
    tokens = mine.tokenize(SCRIPTS[0])
    assert mine.convert_tokens_to_string(tokens) == oracle.convert_tokens_to_string(tokens)
    assert mine.convert_ids_to_tokens(10**6) is None


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_equals_transformers(kind: str) -> None:
    mine, oracle = ours(kind), theirs(kind)
    rows = mine(list(SCRIPTS))["input_ids"]
    for skip in (True, False):
        assert mine.batch_decode(rows, skip_special_tokens=skip) == oracle.batch_decode(rows, skip_special_tokens=skip)
        for cleaned in (True, False):
            options = {"skip_special_tokens": skip, "clean_up_tokenization_spaces": cleaned}
            assert mine.decode(rows[0], **options) == oracle.decode(rows[0], **options)
    padded = mine(list(SCRIPTS), padding=True, return_tensors="pt")["input_ids"]
    assert mine.batch_decode(padded) == oracle.batch_decode(padded)
    assert mine.decode(padded) == mine.batch_decode(padded.numpy()) == mine.batch_decode(list(padded))
    for ids in (7, [], [7], np.int64(7), torch.tensor(7), np.array([7, 8]), rows[0]):
        assert mine.decode(ids) == oracle.decode(ids)


def test_decoding_says_what_is_wrong() -> None:
    for ids in ([-100, 5], [1.5], ["a"]):
        with pytest.raises(InputError, match="must be integers of at least 0"):
            ours("wordpiece").decode(ids)
        with pytest.raises(InputError, match="must be integers of at least 0"):
            ours("wordpiece").convert_ids_to_tokens(ids)
    with pytest.raises(InputError, match="Did you mean 'skip_special_tokens'"):
        ours("wordpiece").decode([5], skip_special_token=True)
    assert ours("wordpiece").batch_decode([]) == []


def test_spaces_before_punctuation() -> None:
    tokenizer = fresh("gpt2", clean_up_tokenization_spaces=True)
    ids = tokenizer("a , b .")["input_ids"]
    assert tokenizer.decode(ids) == "a , b ."  # such a space was written by the author
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=True) == "a, b."


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_around_ids(kind: str) -> None:
    mine = ours(kind)
    first, second = (mine(text, add_special_tokens=False)["input_ids"] for text in ("one two", "three four five"))
    for ids, texts in (((first,), ("one two",)), ((first, second), ("one two", "three four five"))):
        whole = mine(*texts, return_token_type_ids=True, return_special_tokens_mask=True)
        if kind in ("unigram", "llama") and len(texts) == 2:
            continue  # a second text may be cut differently from one on its own
        assert mine.build_inputs_with_special_tokens(*ids) == whole["input_ids"]
        assert mine.create_token_type_ids_from_sequences(*ids) == whole["token_type_ids"]
        assert mine.get_special_tokens_mask(*ids) == whole["special_tokens_mask"]
    assert mine.num_special_tokens_to_add() == theirs(kind).num_special_tokens_to_add()
    assert mine.num_special_tokens_to_add(pair=True) == theirs(kind).num_special_tokens_to_add(pair=True)
    assert mine.max_len_single_sentence == theirs(kind).max_len_single_sentence
    ids = mine("one two")["input_ids"]
    expected = theirs(kind).get_special_tokens_mask(ids, already_has_special_tokens=True)
    assert mine.get_special_tokens_mask(ids, already_has_special_tokens=True) == expected


def test_bos_and_eos_can_be_switched() -> None:
    tokenizer = fresh("llama")
    plain = tokenizer("a b", add_special_tokens=False)["input_ids"]
    assert (tokenizer.add_bos_token, tokenizer.add_eos_token) == (True, False)
    tokenizer.add_eos_token = True
    assert tokenizer("a b")["input_ids"] == [1, *plain, 2]
    tokenizer.add_bos_token = False
    assert tokenizer("a b")["input_ids"] == [*plain, 2]
    assert tokenizer("a b", "a b", return_token_type_ids=True)["token_type_ids"] == [0] * (len(plain) + 1) + [1] * (
        len(plain) + 1
    )
    tokenizer = fresh("gpt2", add_bos_token=True)
    assert tokenizer("a b")["input_ids"][0] == tokenizer.bos_token_id
    assert tokenizer("a b", return_offsets_mapping=True)["offset_mapping"][-1] == (1, 3)
    tokenizer.bos_token = None
    tokenizer.add_bos_token = False
    with pytest.raises(TokenizerError, match="has no bos_token to add"):
        tokenizer.add_bos_token = True


def test_special_tokens_of_the_text_can_be_left_apart() -> None:
    whole, apart = ours("gpt2"), fresh("gpt2", split_special_tokens=True)
    assert len(whole("<|endoftext|>")["input_ids"]) == 1
    assert len(apart("<|endoftext|>")["input_ids"]) > 5


def test_a_token_with_a_role_is_skipped_though_plain_in_the_vocabulary() -> None:
    tokenizer = fresh("gpt2")
    tokenizer.eos_token = "Ġself"
    ids = tokenizer("a self")["input_ids"]
    assert tokenizer.decode(ids) == "a self"
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a"


def test_it_says_what_it_is() -> None:
    text = repr(ours("wordpiece"))
    assert text.startswith("Tokenizer(name_or_path=")
    assert "vocab_size=30522, model_max_length=512" in text
    assert '101: AddedToken("[CLS]"' in text
