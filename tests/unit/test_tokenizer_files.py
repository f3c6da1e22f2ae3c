"""Loading and saving: every layout of files gives the ids that transformers gives, and survives a round trip."""

import copy
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_tokenizer_made import KINDS, SCRIPTS, corpus, folder, ours, theirs, write_json
from tokenizers import Tokenizer as Backend

from headway.auto.tokenizer import AutoTokenizer
from headway.errors import CheckpointError, ConfigError, InputError, TokenizerError
from headway.tokenization import PreTrainedTokenizerBase, Tokenizer

TEXTS = [text for text in SCRIPTS if text]


def oracle(path: Path, **options: Any) -> Any:
    return pytest.importorskip("transformers").AutoTokenizer.from_pretrained(path, **options)


def ids(tokenizer: Any) -> list[Any]:
    """Return what a tokenizer makes of all texts and some pairs."""
    batch, pairs = tokenizer(TEXTS), tokenizer(TEXTS[:4], TEXTS[4:8])
    return [*batch.items(), *pairs.items()]


def vocabulary_of(kind: str, path: Path) -> None:
    """Write the vocabulary of a tokenizer in its old files."""
    if kind == "wordpiece":
        shutil.copy(folder("wordpiece") / "vocab.txt", path)
        return
    model = json.loads((folder(kind) / "tokenizer.json").read_text("utf-8"))
    vocab = {**model["model"]["vocab"], **{token["content"]: token["id"] for token in model["added_tokens"]}}
    write_json(path / "vocab.json", vocab)
    merges = [" ".join(merge) for merge in model["model"]["merges"]]
    (path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), "utf-8")


LAYOUTS: list[tuple[str, dict[str, Any], str | None]] = [
    ("wordpiece", {"tokenizer_class": "BertTokenizer"}, None),
    ("wordpiece", {"tokenizer_class": "BertTokenizer", "do_lower_case": False}, None),
    ("wordpiece", {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "strip_accents": False}, None),
    ("wordpiece", {"tokenizer_class": "BertTokenizer", "tokenize_chinese_chars": False}, None),
    ("wordpiece", {}, "bert"),
    ("wordpiece", {"do_lower_case": False}, "distilbert"),
    ("wordpiece", {"model_max_length": 512}, "electra"),
    ("gpt2", {"tokenizer_class": "GPT2Tokenizer"}, None),
    ("gpt2", {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True}, None),
    ("gpt2", {}, "gpt2"),
    ("roberta", {"tokenizer_class": "RobertaTokenizer"}, None),
    ("roberta", {"tokenizer_class": "RobertaTokenizerFast", "add_prefix_space": True}, None),
    ("roberta", {"model_max_length": 512}, "roberta"),
    ("roberta", {}, "bart"),
]


@pytest.mark.parametrize(("kind", "config", "model_type"), LAYOUTS)
def test_vocabularies_without_tokenizer_json(
    kind: str, config: dict[str, Any], model_type: str | None, tmp_path: Path
) -> None:
    vocabulary_of(kind, tmp_path)
    if config:
        write_json(tmp_path / "tokenizer_config.json", config)
    if model_type:
        write_json(tmp_path / "config.json", {"model_type": model_type})
    mine, expected = AutoTokenizer.from_pretrained(tmp_path), oracle(tmp_path)
    if model_type == "distilbert":  # its models take no token types, which transformers 5 forgot
        expected.model_input_names = ["input_ids", "attention_mask"]
    assert ids(mine) == ids(expected)
    assert mine.special_tokens_map == expected.special_tokens_map
    assert mine.model_max_length == expected.model_max_length
    assert mine.decode(mine(TEXTS[0])["input_ids"]) == expected.decode(expected(TEXTS[0])["input_ids"])


def test_a_vocabulary_and_nothing_else(tmp_path: Path) -> None:
    for kind, like in (("wordpiece", "wordpiece"), ("gpt2", "gpt2"), ("roberta", "roberta")):
        path = tmp_path / kind
        path.mkdir()
        vocabulary_of(kind, path)
        assert AutoTokenizer.from_pretrained(path)(TEXTS)["input_ids"] == ours(like)(TEXTS)["input_ids"]


def test_added_tokens_of_the_old_files(tmp_path: Path) -> None:
    vocabulary_of("gpt2", tmp_path)
    size = len(ours("gpt2"))
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer"})
    write_json(tmp_path / "added_tokens.json", {"<sep>": size, "<pad>": size + 1})
    write_json(tmp_path / "special_tokens_map.json", {"pad_token": "<pad>", "eos_token": "<|endoftext|>"})
    mine = AutoTokenizer.from_pretrained(tmp_path)
    assert mine("a<sep>b<pad>")["input_ids"][1::2] == [size, size + 1]
    assert mine.pad_token_id == size + 1
    assert mine.decode([size, size + 1], skip_special_tokens=True) == "<sep>"


def test_bos_of_gpt2_files(tmp_path: Path) -> None:
    vocabulary_of("gpt2", tmp_path)
    config = {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "bos_token": "<|endoftext|>"}
    write_json(tmp_path / "tokenizer_config.json", config)
    mine = AutoTokenizer.from_pretrained(tmp_path)
    plain = ours("gpt2")("a b")["input_ids"]
    assert mine("a b")["input_ids"] == [mine.bos_token_id, *plain]
    assert mine.add_bos_token


def test_a_mask_given_as_dictionary_keeps_its_flags(tmp_path: Path) -> None:
    vocabulary_of("roberta", tmp_path)
    for mask, left in (("<mask>", True), ({"content": "<mask>", "lstrip": False}, False)):
        write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "RobertaTokenizer", "mask_token": mask})
        mine = AutoTokenizer.from_pretrained(tmp_path)
        tokens = {token.content: token for token in mine.added_tokens_decoder.values()}
        assert tokens["<mask>"].lstrip is left


@pytest.mark.parametrize("kind", KINDS)
def test_settings_equal_transformers(kind: str) -> None:
    for name in ("special_tokens_map", "all_special_tokens", "all_special_ids", "model_max_length", "padding_side",
                 "truncation_side", "vocab_size", "model_input_names"):  # fmt: skip
        assert getattr(ours(kind), name) == getattr(theirs(kind), name), name
    assert len(ours(kind)) == len(theirs(kind))
    assert ours(kind).get_added_vocab() == theirs(kind).get_added_vocab()


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_again(kind: str, tmp_path: Path) -> None:
    mine = AutoTokenizer.from_pretrained(folder(kind))
    mine.add_special_tokens({"additional_special_tokens": ["<x>", "<y>"]}, replace_extra_special_tokens=False)
    mine.add_tokens(["newword"])
    mine.chat_template = {"default": "{{ messages }}", "tool_use": "{{ tools }}"}
    mine.model_max_length = 77
    mine.init_kwargs["a_key_of_ones_own"] = {"kept": [1]}
    paths = mine.save_pretrained(tmp_path / "saved")
    assert all(Path(path).is_file() for path in paths)
    again = AutoTokenizer.from_pretrained(tmp_path / "saved")
    text = "a <x> newword <y> b"
    for tokenizer in (again, oracle(tmp_path / "saved")):
        assert ids(tokenizer) == ids(mine)
        assert tokenizer(text)["input_ids"] == mine(text)["input_ids"]
        assert tokenizer.special_tokens_map == mine.special_tokens_map
        assert tokenizer.model_max_length == 77
        assert tokenizer.chat_template == mine.chat_template
    assert again.additional_special_tokens == mine.additional_special_tokens
    assert again.init_kwargs["a_key_of_ones_own"] == {"kept": [1]}
    again.save_pretrained(tmp_path / "twice")
    for path in paths:
        name = Path(path).relative_to(tmp_path / "saved")
        assert Path(path).read_bytes() == (tmp_path / "twice" / name).read_bytes()


def test_what_transformers_saves_is_read(tmp_path: Path) -> None:
    for kind in KINDS:
        theirs(kind).save_pretrained(tmp_path / kind)
        mine = AutoTokenizer.from_pretrained(tmp_path / kind)
        assert ids(mine) == ids(theirs(kind))
        assert mine.special_tokens_map == theirs(kind).special_tokens_map


def test_saving_replaces_templates_of_before(tmp_path: Path) -> None:
    mine = AutoTokenizer.from_pretrained(folder("gpt2"))
    mine.chat_template = {"default": "a", "tool_use": "b"}
    mine.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"kept")
    mine.chat_template = None
    mine.save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).chat_template is None
    assert (tmp_path / "model.safetensors").read_bytes() == b"kept"


def test_lengths_set_in_a_tokenizer_json_do_not_cut(tmp_path: Path) -> None:
    backend = Backend.from_file(str(folder("wordpiece") / "tokenizer.json"))
    backend.enable_truncation(4)
    backend.enable_padding(length=32)
    backend.save(str(tmp_path / "tokenizer.json"))
    assert len(AutoTokenizer.from_pretrained(tmp_path)("one two three four")["input_ids"]) == 6


def test_tokenizer_json_alone_knows_berts_inputs(tmp_path: Path) -> None:
    for kind, has_types in (("wordpiece", True), ("gpt2", False), ("roberta", False), ("llama", False)):
        path = tmp_path / kind
        path.mkdir()
        shutil.copy(folder(kind) / "tokenizer.json", path)
        assert ("token_type_ids" in AutoTokenizer.from_pretrained(path)("a")) is has_types


def test_roles_missing_from_the_vocabulary_are_added(tmp_path: Path) -> None:
    shutil.copy(folder("gpt2") / "tokenizer.json", tmp_path)
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer", "pad_token": "<pad>"})
    mine = AutoTokenizer.from_pretrained(tmp_path)
    assert mine.pad_token_id == len(mine) - 1 == oracle(tmp_path).pad_token_id


def test_roles_of_one_family(tmp_path: Path) -> None:
    shutil.copy(folder("llama") / "tokenizer.json", tmp_path)
    write_json(tmp_path / "tokenizer_config.json", {"extra_special_tokens": {"image_token": "<image>"}})
    mine = AutoTokenizer.from_pretrained(tmp_path)
    assert mine.image_token == "<image>"
    assert mine.image_token_id == mine.convert_tokens_to_ids("<image>") == len(mine) - 1
    mine.save_pretrained(tmp_path / "saved")
    again = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert again.image_token_id == mine.image_token_id


def test_contradicting_files_are_told(tmp_path: Path) -> None:
    shutil.copy(folder("gpt2") / "tokenizer.json", tmp_path)
    write_json(tmp_path / "added_tokens.json", {"<far>": 99999})
    with pytest.raises(TokenizerError, match="'<far>' should have the id 99999"):
        AutoTokenizer.from_pretrained(tmp_path)


def test_settings_of_the_user_go_first() -> None:
    mine = AutoTokenizer.from_pretrained(
        folder("wordpiece"), do_lower_case=False, model_max_length=9, padding_side="left"
    )
    assert mine.tokenize("Hello") == oracle(folder("wordpiece"), do_lower_case=False).tokenize("Hello")
    assert mine.tokenize("Hello") != ours("wordpiece").tokenize("Hello")
    assert (mine.model_max_length, mine.padding_side) == (9, "left")
    for kind in ("gpt2", "roberta"):
        mine = AutoTokenizer.from_pretrained(folder(kind), add_prefix_space=True)
        assert mine.tokenize("hello") == oracle(folder(kind), add_prefix_space=True).tokenize("hello")
        assert mine.tokenize("hello")[0].startswith("Ġ")
    mine = AutoTokenizer.from_pretrained(folder("llama"), add_bos_token=False, add_eos_token=True)
    assert mine("a")["input_ids"] == [*ours("llama")("a", add_special_tokens=False)["input_ids"], mine.eos_token_id]
    with pytest.raises(TokenizerError, match="nothing that do_lower_case=True could change"):
        AutoTokenizer.from_pretrained(folder("gpt2"), do_lower_case=True)


def broken(path: Path, name: str, text: str) -> Path:
    path.mkdir()
    (path / name).write_text(text, "utf-8")
    return path


def test_what_is_wrong_with_files_is_told(tmp_path: Path) -> None:
    load = AutoTokenizer.from_pretrained
    with pytest.raises(CheckpointError, match="no-such-folder"):
        load(tmp_path / "no-such-folder")
    with pytest.raises(TokenizerError, match=r"has no tokenizer: searched .* for tokenizer.json, vocab.txt"):
        load(tmp_path)
    with pytest.raises(TokenizerError, match=r"bpe.codes alone, a format that headway does not read"):
        load(broken(tmp_path / "a", "bpe.codes", "x"))
    for name in ("spiece.model", "tokenizer.model", "spm.model", "sentencepiece.bpe.model"):
        with pytest.raises(TokenizerError, match=rf"{name} is not a sentencepiece model .* download it again"):
            load(broken(tmp_path / name, name, "x"))
    with pytest.raises(TokenizerError, match=r"tokenizer.json is not a tokenizer .* download it again"):
        load(broken(tmp_path / "b", "tokenizer.json", "{}"))
    with pytest.raises(TokenizerError, match="git lfs pull"):
        load(broken(tmp_path / "c", "tokenizer.json", "version https://git-lfs.github.com/spec/v1\n"))
    with pytest.raises(TokenizerError, match=r"vocab.txt does not hold the unk_token"):
        load(broken(tmp_path / "d", "vocab.txt", "a\nb\n"))
    path = broken(tmp_path / "e", "vocab.json", "{")
    with pytest.raises(TokenizerError, match="has no tokenizer"):
        load(path)
    (path / "merges.txt").write_text("a b\n", "utf-8")
    with pytest.raises(TokenizerError, match=r"vocab.json is not valid JSON"):
        load(path)
    write_json(path / "vocab.json", {"a": 0, "b": 1})
    with pytest.raises(TokenizerError, match=r"merges.txt has 'ab', which is not in the vocabulary"):
        load(path)
    (path / "merges.txt").write_text("#version: 0.2\na b c\n", "utf-8")
    with pytest.raises(TokenizerError, match=r"Line 2 of .*merges.txt must be two tokens"):
        load(path)
    write_json(path / "vocab.json", {"a</w>": 0, "b": 1})
    with pytest.raises(TokenizerError, match="no byte-level vocabulary"):
        load(path)
    (path / "tokenizer_config.json").write_text("{", "utf-8")
    with pytest.raises(ConfigError, match=r"tokenizer_config.json is not valid JSON"):
        load(path)


def test_a_vocabulary_of_another_kind_is_refused_rather_than_misread(tmp_path: Path) -> None:
    vocabulary_of("wordpiece", tmp_path)
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "BertJapaneseTokenizer"})
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    with pytest.raises(TokenizerError, match=r"cannot read vocab.txt for a tokenizer of 'BertJapaneseTokenizer'"):
        AutoTokenizer.from_pretrained(tmp_path)


def test_arguments_of_loading_are_checked() -> None:
    with pytest.raises(InputError, match=r"no argument 'padding_sid'\. Did you mean 'padding_side'"):
        AutoTokenizer.from_pretrained(folder("gpt2"), padding_sid="left")
    with pytest.raises(InputError, match="never runs code"):
        AutoTokenizer.from_pretrained(folder("gpt2"), trust_remote_code=True)
    with pytest.raises(InputError, match="padding_side must be"):
        AutoTokenizer.from_pretrained(folder("gpt2"), padding_side="up")
    with pytest.raises(InputError, match="no instances"):
        AutoTokenizer()
    assert AutoTokenizer.from_pretrained(folder("gpt2"), use_fast=True, trust_remote_code=False).is_fast


def test_a_registered_class_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(Tokenizer):
        pass

    class Config:
        model_type = "of-ones-own"

    monkeypatch.setattr(AutoTokenizer, "_registered", {})
    AutoTokenizer.register(Config, fast_tokenizer_class=Mine)
    shutil.copy(folder("gpt2") / "tokenizer.json", tmp_path)
    write_json(tmp_path / "config.json", {"model_type": "of-ones-own"})
    assert type(AutoTokenizer.from_pretrained(tmp_path)) is Mine
    assert type(AutoTokenizer.from_pretrained(folder("gpt2"))) is Tokenizer
    with pytest.raises(InputError, match="registered for 'of-ones-own' already"):
        AutoTokenizer.register(Config, Tokenizer)
    with pytest.raises(InputError, match="with a model_type"):
        AutoTokenizer.register(object, Mine)


def test_copies_and_pickles_are_equal_and_apart() -> None:
    mine = AutoTokenizer.from_pretrained(folder("wordpiece"))
    for other in (copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        assert ids(other) == ids(mine)
        other.add_tokens(["newword"])
        other.pad_token = "[MASK]"
    assert mine.pad_token == "[PAD]"
    assert "newword" not in mine.get_vocab()
    assert PreTrainedTokenizerBase is Tokenizer


def test_training_anew_keeps_the_kind() -> None:
    for kind in KINDS:
        new = ours(kind).train_new_from_iterator(corpus()[1:2], 400, new_special_tokens=["<new>"])
        assert len(new) <= 800  # Unigram and byte fallback keep characters beyond the size
        assert new.special_tokens_map == ours(kind).special_tokens_map
        sample = new("argument <new> parser", "b")
        assert new.convert_tokens_to_ids("<new>") in sample["input_ids"]
        assert list(sample) == list(ours(kind)("a"))
        frame = [token for token in ours(kind)("a", "b").tokens() if token in ours(kind).all_special_tokens]
        assert [token for token in new("a", "b").tokens() if token in new.all_special_tokens] == frame


def test_forking_is_quiet() -> None:
    code = (
        "import os; from headway.auto.tokenizer import AutoTokenizer\n"
        f"tokenizer = AutoTokenizer.from_pretrained({str(folder('gpt2'))!r})\n"
        "tokenizer(['a b'] * 50)\n"
        "child = os.fork()\n"
        "tokenizer(['a b'] * 50)\n"
        "if child:\n    assert os.waitpid(child, 0)[1] == 0"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True, text=True)
    assert done.stderr == ""


def test_importing_it_imports_little() -> None:
    code = (
        "import sys; from headway.auto.tokenizer import AutoTokenizer; from headway.tokenization import Tokenizer\n"
        "assert not {'torch', 'jinja2', 'huggingface_hub', 'transformers'} & set(sys.modules), 'too much'\n"
        f"t = AutoTokenizer.from_pretrained({str(folder('gpt2'))!r}); t('a', return_tensors='np')\n"
        "assert not {'torch', 'jinja2', 'huggingface_hub'} & set(sys.modules), 'too much'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
