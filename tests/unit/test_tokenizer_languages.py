"""Translation families from their own files: languages, targets, and a vocabulary for each language."""

import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pieces import assert_saved, model, oracle, starts_with_sign, texts, transformers
from test_tokenizer_families import MARKS, folder, ours
from test_tokenizer_made import write_json

from headway.auto.tokenizer import AutoTokenizer
from headway.errors import InputError, TokenizerError


def vocabulary(path: Path, order: str, *models: bytes, after: str = "") -> None:
    """Write the ids of fairseq's and Marian's models: some tokens, the models' pieces, some more."""
    names = order.split()
    for data in models:
        read = oracle(data)
        names += [read.id_to_piece(id) for id in range(len(read))]
    write_json(path, {name: id for id, name in enumerate(dict.fromkeys([*names, *after.split()]))})


def m2m100(path: Path, **options: Any) -> Path:
    (path / "sentencepiece.bpe.model").write_bytes(model(**options))
    vocabulary(path / "vocab.json", "<s> <pad> </s> <unk>", model(**options))
    write_json(path / "tokenizer_config.json", {"tokenizer_class": "M2M100Tokenizer", "src_lang": "fr"})
    return path


def marian(path: Path, *, separate: bool = False) -> Path:
    source, target = model(), model(normalization_rule_name="nfkc", model_type="bpe")
    (path / "source.spm").write_bytes(source)
    (path / "target.spm").write_bytes(target)
    if separate:
        vocabulary(path / "vocab.json", "</s> <unk>", source, after="<pad>")
        vocabulary(path / "target_vocab.json", "</s> <unk>", target, after="<pad>")
    else:
        vocabulary(path / "vocab.json", "</s> <unk>", source, target, after=">>fr<< <pad>")
    write_json(path / "tokenizer_config.json", {"tokenizer_class": "MarianTokenizer", "separate_vocabs": separate})
    return path


@pytest.mark.parametrize("options", [{}, {"model_type": "bpe"}], ids=["unigram", "bpe"])
def test_m2m100_equals_transformers(options: dict[str, Any], tmp_path: Path) -> None:
    path = m2m100(tmp_path, **options)
    mine, expected = AutoTokenizer.from_pretrained(path), transformers().AutoTokenizer.from_pretrained(path)
    assert mine.lang_code_to_id == expected.lang_code_to_id
    assert mine.get_lang_id("de") == expected.get_lang_id("de")
    assert mine.get_lang_token("de") == "__de__"
    for tokenizer in (mine, expected):
        tokenizer.src_lang, tokenizer.tgt_lang = "en", "ru"
    assert differing(mine, expected, "text") < 0.005
    assert differing(mine, expected, "text_target") < 0.005
    assert mine("a", "b")["input_ids"] == expected("a", "b")["input_ids"]
    assert_saved(mine, tmp_path / "saved")
    assert (AutoTokenizer.from_pretrained(tmp_path / "saved").tgt_lang) == "ru"


@pytest.mark.parametrize("separate", [False, True])
def test_marian_equals_transformers(separate: bool, tmp_path: Path) -> None:
    path = marian(tmp_path, separate=separate)
    mine = AutoTokenizer.from_pretrained(path)
    expected = pytest.importorskip("transformers").MarianTokenizer.from_pretrained(path)
    again = reloaded(mine, tmp_path / "saved")
    if not separate:
        assert_saved(mine, tmp_path / "saved")
    assert mine.get_vocab() == expected.get_vocab()
    for tokenizer in (mine, again):
        assert differing(tokenizer, expected, "text") < 0.005
        # Special tokens of a vocabulary of the target's own have the source's ids in transformers.
        assert differing(tokenizer, expected, "text_target", specials=not separate) < 0.005
        if not separate:
            assert tokenizer(">>fr<< the dog")["input_ids"] == expected(">>fr<< the dog")["input_ids"]
        tokenizer.add_tokens(["<new>"])
        assert tokenizer.decode(tokenizer(text_target="the<new>")["input_ids"][-2:-1]) == "<new>"
        ids = tokenizer(text_target="the quick Ελλάδα")["input_ids"]
        assert tokenizer.decode(ids, skip_special_tokens=True) == expected.decode(ids, skip_special_tokens=True)


def reloaded(mine: Any, path: Path) -> Any:
    mine.save_pretrained(path)
    return AutoTokenizer.from_pretrained(path)


def differing(mine: Any, expected: Any, argument: str, specials: bool = True) -> float:
    """Return the share of texts with other ids; marks after mapped characters are lost (see test_tokenizer_pieces)."""
    batch = [text for text in texts(specials=specials) if not starts_with_sign(text)]
    mine, expected = mine(**{argument: batch})["input_ids"], expected(**{argument: batch})["input_ids"]
    return sum(a != b for a, b in zip(mine, expected, strict=True)) / len(batch)


@pytest.mark.parametrize("name", ["mbart", "mbart50"])
def test_languages_of_mbart(name: str, tmp_path: Path) -> None:
    mine, expected = (
        AutoTokenizer.from_pretrained(folder(name)),
        transformers().AutoTokenizer.from_pretrained(folder(name)),
    )
    assert mine.lang_code_to_id == expected.lang_code_to_id
    assert mine.src_lang == "en_XX"
    batch = ["the quick dog", "мир"]
    with pytest.raises(InputError, match=r"set tokenizer\.tgt_lang first"):
        mine(text_target=batch)
    for tokenizer in (mine, expected):
        tokenizer.src_lang, tokenizer.tgt_lang = "de_DE", "ru_RU"
    assert dict(mine(batch, text_target=batch)) == dict(expected(batch, text_target=batch))
    assert mine(batch)["input_ids"] == expected(batch)["input_ids"]  # the source's again
    assert mine("a", "b")["input_ids"] == expected("a", "b")["input_ids"]
    again = reloaded(mine, tmp_path)
    assert (again.src_lang, again.tgt_lang) == ("de_DE", "ru_RU")
    assert dict(again(batch, text_target=batch)) == dict(mine(batch, text_target=batch))
    with pytest.raises(InputError, match=r"no language 'de_DD'.*Did you mean 'de_DE'"):
        mine.src_lang = "de_DD"
    assert (
        AutoTokenizer.from_pretrained(folder(name), src_lang="fr_XX")("a")["input_ids"][0 - (name == "mbart")]
        == (mine.lang_code_to_id["fr_XX"])
    )


def test_targets_and_texts_at_the_same_time() -> None:
    mine = AutoTokenizer.from_pretrained(folder("mbart50"), src_lang="de_DE", tgt_lang="ru_RU")
    source, target = mine("the dog")["input_ids"], mine(text_target="the dog")["input_ids"]
    assert source[0] != target[0]
    assert source[1:] == target[1:]

    def encode(number: int) -> list[int]:
        ids: list[int] = mine(**{"text_target" if number % 2 else "text": "the dog"})["input_ids"]
        return ids

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(encode, range(400))) == [source, target] * 200
    encoding = mine(text_target="the dog")
    mine.tgt_lang = "fr_XX"
    assert encoding.tokens()[0] == "ru_RU"
    for copied in (copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        assert copied(text_target="the dog") == mine(text_target="the dog")


def test_languages_that_tokenizer_json_has_as_plain_tokens(tmp_path: Path) -> None:
    state = json.loads(ours("mbart").backend_tokenizer.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if "_" not in token["content"]]
    write_json(tmp_path / "tokenizer.json", state)
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "MBartTokenizer", "src_lang": "fi_FI"})
    mine = AutoTokenizer.from_pretrained(tmp_path)
    assert mine.lang_code_to_id == ours("mbart").lang_code_to_id
    assert mine("the")["input_ids"][-1] == mine.get_lang_id("fi_FI")


def test_languages_of_nllb(tmp_path: Path) -> None:
    (tmp_path / "sentencepiece.bpe.model").write_bytes(model(model_type="bpe"))
    config = {"tokenizer_class": "NllbTokenizer", "additional_special_tokens": ["eng_Latn", "fra_Latn"]}
    write_json(tmp_path / "tokenizer_config.json", config)
    mine = AutoTokenizer.from_pretrained(tmp_path, src_lang="fra_Latn", tgt_lang="eng_Latn")
    size = len(oracle(model(model_type="bpe")))
    assert mine.lang_code_to_id == {"eng_Latn": size + 1, "fra_Latn": size + 2}
    assert mine.mask_token_id == size + 3
    encoding = mine("the", text_target="the")
    assert encoding["input_ids"] == [size + 2, mine.convert_tokens_to_ids(f"{MARKS}the"), mine.eos_token_id]
    assert encoding["labels"][0] == size + 1
    old = AutoTokenizer.from_pretrained(tmp_path, legacy_behaviour=True)
    assert old("the")["input_ids"][1:] == [mine.eos_token_id, size + 1]
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "NllbTokenizer"})
    with pytest.raises(TokenizerError, match="additional_special_tokens"):
        AutoTokenizer.from_pretrained(tmp_path)


def test_tokenizers_without_languages() -> None:
    mine = ours("t5")
    assert not hasattr(mine, "src_lang")
    assert not hasattr(mine, "lang_code_to_id")
    with pytest.raises(InputError, match="src_lang cannot be set"):
        AutoTokenizer.from_pretrained(folder("t5")).src_lang = "en"
    with pytest.raises(InputError, match="tgt_lang cannot be set"):
        AutoTokenizer.from_pretrained(folder("t5"), tgt_lang="en")
    assert mine(text_target="the")["input_ids"] == mine("the")["input_ids"]
