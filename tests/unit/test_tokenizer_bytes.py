"""Tokenizers of bytes and letters from their own files: tiktoken, tekken, ByT5, ESM, and GPT-2's kin."""

import base64
import itertools
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pieces import assert_saved, sentences, texts
from test_tokenizer_files import vocabulary_of
from test_tokenizer_made import write_json

from headway.auto.tokenizer import AutoTokenizer
from headway.errors import TokenizerError


def byte_pairs(text: bytes, ranks: dict[bytes, int]) -> list[int]:
    """Return the ids of one stretch of text, joining the pair of the lowest rank as long as there is one."""
    parts = [bytes([byte]) for byte in text]
    while text not in ranks:
        best = min(range(len(parts) - 1), key=lambda i: ranks.get(parts[i] + parts[i + 1], 1 << 30))
        if parts[best] + parts[best + 1] not in ranks:
            break
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return [ranks[text]] if text in ranks else [ranks[part] for part in parts]


@cache
def ranks() -> dict[bytes, int]:
    """Return a byte-level vocabulary: bytes, then the joins that a plain count finds best."""
    made = {bytes([byte]): byte for byte in range(256)}
    words = [f" {word}".encode() for text in sentences() for word in text.split()]
    parts = [[bytes([byte]) for byte in word] for word in words]
    while len(made) < 500:
        counts: dict[bytes, int] = {}
        for word in parts:
            for left, right in itertools.pairwise(word):
                counts[left + right] = counts.get(left + right, 0) + 1
        best = max(counts, key=lambda pair: (counts[pair], pair))
        made[best] = len(made)
        for word in parts:
            for i in range(len(word) - 1, 0, -1):
                if i < len(word) and word[i - 1] + word[i] == best:
                    word[i - 1 : i + 1] = [best]
    return made


def expected_pairs(tokenizer: Any, text: str) -> list[int]:
    stretches = tokenizer.backend_tokenizer.pre_tokenizer[0].pre_tokenize_str(text)
    return [id for stretch, _ in stretches for id in byte_pairs(stretch.encode(), ranks())]


@pytest.mark.parametrize("file", ["tokenizer.model", "tiktoken.model"])
def test_tiktoken_files(file: str, tmp_path: Path) -> None:
    lines = [b"%s %d" % (base64.b64encode(token), rank) for token, rank in ranks().items()]
    (tmp_path / file).write_bytes(b"\n".join(lines) + b"\n")
    added = {"500": "<|begin_of_text|>", "501": "<|end_of_text|>"}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|begin_of_text|>",
        "eos_token": "<|end_of_text|>",
        "add_bos_token": True,
        "added_tokens_decoder": {id: {"content": token, "special": True} for id, token in added.items()},
    }
    write_json(tmp_path / "tokenizer_config.json", config)
    mine = AutoTokenizer.from_pretrained(tmp_path)
    for text in texts()[:1500]:
        assert mine(text)["input_ids"] == [500, *expected_pairs(mine, text)], text
        assert mine.decode(mine(text)["input_ids"], skip_special_tokens=True) == text
    assert mine("a<|end_of_text|>")["input_ids"][-1] == 501
    assert_saved(mine, tmp_path / "saved")
    (tmp_path / "tiktoken.model").write_bytes(b"no base64\n")
    (tmp_path / "tokenizer.model").unlink(missing_ok=True)
    with pytest.raises(TokenizerError, match="not of tiktoken's form"):
        AutoTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("lists_specials", [False, True])
def test_tekken_files(lists_specials: bool, tmp_path: Path) -> None:
    entries = [{"rank": rank, "token_bytes": base64.b64encode(t).decode()} for t, rank in ranks().items()]
    config = {"pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
              "default_vocab_size": 516, "default_num_special_tokens": 20}  # fmt: skip
    whole: dict[str, Any] = {"config": config, "vocab": entries}
    if lists_specials:
        names = ["<unk>", "<s>", "</s>", "[INST]"]
        whole["special_tokens"] = [{"rank": id, "token_str": name, "is_control": True} for id, name in enumerate(names)]
    write_json(tmp_path / "tekken.json", whole)
    write_json(tmp_path / "config.json", {"model_type": "mistral"})
    mine = AutoTokenizer.from_pretrained(tmp_path)
    assert len(mine) == 516
    for text in texts()[:500]:
        ids = [20 + id for id in expected_pairs(mine, text)]
        if max(ids, default=0) < 516:  # the last few are left out
            assert mine(text)["input_ids"] == [1, *ids], text
    assert mine("[INST]a", add_special_tokens=False)["input_ids"] == [3, 20 + ord("a")]
    assert mine.convert_ids_to_tokens(19) == "<SPECIAL_19>"
    assert_saved(mine, tmp_path / "saved")
    write_json(tmp_path / "tekken.json", {"config": {}})
    with pytest.raises(TokenizerError, match="not a tekken file"):
        AutoTokenizer.from_pretrained(tmp_path)


def test_byt5_needs_no_file(tmp_path: Path) -> None:
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "ByT5Tokenizer"})
    mine = AutoTokenizer.from_pretrained(tmp_path)
    expected = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(tmp_path)
    for text in texts(specials=True):
        if not text.rstrip().endswith("</s>"):  # which transformers takes for the end of its own
            assert mine(text)["input_ids"] == expected(text)["input_ids"], text
    assert mine("é<extra_id_124>")["input_ids"] == [0xC3 + 3, 0xA9 + 3, 383, 1]
    assert mine("a", "b")["input_ids"] == expected("a", "b")["input_ids"]
    assert len(mine) == len(expected) == 384
    assert mine.decode(mine("Ελλάδα 世界")["input_ids"], skip_special_tokens=True) == "Ελλάδα 世界"
    assert_saved(mine, tmp_path / "saved")


def test_esm_reads_letters(tmp_path: Path) -> None:
    names = "<cls> <pad> <eos> <unk> L A G V S E R T I D P K Q N F Y M H W C X B U Z O . - <null_1> <mask>"
    (tmp_path / "vocab.txt").write_text(names.replace(" ", "\n"), "utf-8")
    write_json(tmp_path / "config.json", {"model_type": "esm"})
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "EsmTokenizer"})
    mine = AutoTokenizer.from_pretrained(tmp_path)
    expected = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(tmp_path)
    for text in ["MKTVRQ", "M K<mask>T xyzV é", "A.B-C", *texts(specials=True)]:
        assert dict(mine(text)) == dict(expected(text)), text
    assert mine("MK", "TV")["input_ids"] == expected("MK", "TV")["input_ids"]
    assert mine.special_tokens_map == expected.special_tokens_map
    assert_saved(mine, tmp_path / "saved")


BYTE_LEVEL: list[tuple[str, str, dict[str, Any]]] = [
    ("gpt2", "gptj", {}),
    ("gpt2", "gpt_neo", {}),
    ("gpt2", "codegen", {}),
    ("gpt2", "starcoder2", {"tokenizer_class": "GPT2Tokenizer"}),
    ("roberta", "longformer", {}),
]


@pytest.mark.parametrize(("kind", "model_type", "config"), BYTE_LEVEL)
def test_byte_level_families(kind: str, model_type: str, config: dict[str, Any], tmp_path: Path) -> None:
    vocabulary_of(kind, tmp_path)
    write_json(tmp_path / "config.json", {"model_type": model_type})
    write_json(tmp_path / "tokenizer_config.json", config)
    mine = AutoTokenizer.from_pretrained(tmp_path)
    expected = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(tmp_path)
    batch = texts()[:500]
    assert mine(batch)["input_ids"] == expected(batch)["input_ids"]
    assert_saved(mine, tmp_path / "saved")


def test_opt_starts_with_its_end(tmp_path: Path) -> None:
    vocabulary_of("roberta", tmp_path)
    config = {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "pad_token": "<pad>", **dict.fromkeys(
        ("bos_token", "eos_token", "unk_token"), "</s>")}  # fmt: skip
    write_json(tmp_path / "tokenizer_config.json", config)
    write_json(tmp_path / "config.json", {"model_type": "opt"})
    mine = AutoTokenizer.from_pretrained(tmp_path)
    assert mine("a b")["input_ids"][0] == mine.convert_tokens_to_ids("</s>") == mine.bos_token_id
    assert mine("a b")["input_ids"][-1] != mine.eos_token_id
    (tmp_path / "tokenizer_config.json").unlink()
    assert AutoTokenizer.from_pretrained(tmp_path)("a b")["input_ids"] == mine("a b")["input_ids"]


def test_deberta_of_bytes(tmp_path: Path) -> None:
    vocabulary_of("gpt2", tmp_path)
    ids = json.loads((tmp_path / "vocab.json").read_text("utf-8"))
    names = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
    write_json(tmp_path / "vocab.json", {**ids, **{name: len(ids) + i for i, name in enumerate(names)}})
    write_json(tmp_path / "config.json", {"model_type": "deberta"})
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "DebertaTokenizer"})
    mine = AutoTokenizer.from_pretrained(tmp_path)
    expected = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(tmp_path)
    batch = texts()[:900]
    assert mine(batch)["input_ids"] == expected(batch)["input_ids"]
    cls, sep, mask = (mine.convert_tokens_to_ids(name) for name in ("[CLS]", "[SEP]", "[MASK]"))
    # As the model was trained; transformers 5 writes pairs as RoBERTa does, with token types of 0.
    a, b = mine("a", add_special_tokens=False)["input_ids"], mine(" b", add_special_tokens=False)["input_ids"]
    assert mine("a", " b")["input_ids"] == [cls, *a, sep, *b, sep]
    assert mine("a", " b")["token_type_ids"] == [0, *[0] * len(a), 0, *[1] * len(b), 1]
    assert mine("a [MASK] b")["input_ids"] == [cls, *a, mask, *b, sep]


def test_mpnet(tmp_path: Path) -> None:
    vocabulary_of("wordpiece", tmp_path)
    names = (tmp_path / "vocab.txt").read_text("utf-8").splitlines()
    renamed = {"[CLS]": "<s>", "[SEP]": "</s>", "[PAD]": "<pad>", "[MASK]": "<mask>"}
    (tmp_path / "vocab.txt").write_text("\n".join(renamed.get(name, name) for name in names), "utf-8")
    write_json(tmp_path / "config.json", {"model_type": "mpnet"})
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "MPNetTokenizer"})
    mine = AutoTokenizer.from_pretrained(tmp_path)
    expected = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(tmp_path)
    batch = texts(specials=True)[:900]
    assert mine(batch)["input_ids"] == expected(batch)["input_ids"]
    assert mine("a b", "c")["input_ids"] == expected("a b", "c")["input_ids"]
    assert_saved(mine, tmp_path / "saved")
