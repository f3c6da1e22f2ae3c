"""Small sentencepiece models, made by sentencepiece itself, and texts in a dozen scripts to compare by."""

import io
import random
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_tokenizer_made import temporary_folder

from headway.auto.tokenizer import AutoTokenizer
from headway.tokenization.sentencepiece import PieceType, read_sentencepiece

WORDS = (  # of a dozen scripts
    "the quick brown fox jumps over a lazy dog größe straße déjà vu naïve Привет мир как дела שלום עולם مرحبا بالعالم "
    "नमस्ते दुनिया क्षत्रिय こんにちは世界 カタカナ 한국어 문장 สวัสดีชาวโลก 你好 世界 中文 Ελλάδα καλημέρα გამარჯობა հայերեն "
    "አማርኛ தமிழ் 123 45,6 7.8 9, foo_bar x=y+1 ½ ﬁne Ａｂｃ é ¡hola! <b>a</b> [y] (z) 0x \"quoted\" ''"
)
# What breaks tokenizers: spaces of all kinds, control characters, marks, and the names of tokens written out.
ODD = [
    " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u200b", "\u2581", "\u2028", "\x00", "\x07", "\u0301", "\ufeff",
    "🙂", "👩‍👩‍👧", "🇪🇸", "e\u0301", "क्ष", "ﬁ", "①", "Ω", "¼", "…", "ﷺ", "ไม่", "각", "한", "가", "İ", "ẞ",
    "<0x41>", "<sep>", "[X]", "``", "''", "9,",
]  # fmt: skip
SPECIALS = ["<s>", "</s>", "<unk>", "<pad>", "<mask>", "[MASK]", "[CLS]", "<extra_id_0>", "en_XX"]


@cache
def sentences() -> list[str]:
    """Return generated text to train on."""
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS.split(), k=draw.randint(1, 12))) for _ in range(400)]


@cache
def texts(count: int = 4000, specials: bool = False) -> list[str]:
    """Return texts to compare by: odd ones, and mixtures of words, parts of words and characters of any script."""
    draw, words = random.Random(1), WORDS.split()
    ranges = [(0x20, 0x24F), (0x370, 0x1FFF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x1F300, 0x1F6FF)]

    def part() -> str:
        kind = draw.randrange(5 + specials)
        if kind < 2:
            return " " if kind else draw.choice(words)
        if kind == 2:
            return draw.choice(words)[:2]
        if kind == 3:
            return chr(draw.randint(*draw.choice(ranges)))
        return draw.choice(ODD if kind == 4 else SPECIALS)

    made = ["".join(part() for _ in range(draw.randint(1, 12))) for _ in range(count)]
    return ["", *sentences()[:40], *ODD, *(f"a {odd} b{odd}c" for odd in ODD), *made]


@cache
def model(**options: Any) -> bytes:
    """Return a sentencepiece model trained on ``sentences`` with these options, as the bytes of its file."""
    spm = pytest.importorskip("sentencepiece")
    file = io.BytesIO()
    defaults = {"vocab_size": 700, "hard_vocab_limit": False, "minloglevel": 2, "num_threads": 1}
    spm.SentencePieceTrainer.train(sentence_iterator=iter(sentences()), model_writer=file, **{**defaults, **options})
    return file.getvalue()


def oracle(data: bytes) -> Any:
    """Return sentencepiece's own processor of a model."""
    return pytest.importorskip("sentencepiece").SentencePieceProcessor(model_proto=data)


@cache
def transformers() -> Any:
    """Return transformers, able to read sentencepiece files without the protobuf package."""
    library = pytest.importorskip("transformers")
    converters = import_module("transformers.convert_slow_tokenizer")

    class ModelProto:
        def ParseFromString(self, data: bytes) -> None:
            path = temporary_folder() / "model"
            path.write_bytes(data)
            read = read_sentencepiece(path)
            self.pieces = [
                SimpleNamespace(piece=text, score=score, type=int(type)) for text, score, type in read.pieces
            ]
            unknown = next(number for number, piece in enumerate(read.pieces) if piece.type == PieceType.UNKNOWN)
            self.trainer_spec = SimpleNamespace(
                unk_id=unknown, unk_piece=read.pieces[unknown].text, model_type=int(read.algorithm),
                byte_fallback=read.byte_fallback, bos_id=-1, eos_id=-1,
            )  # fmt: skip
            self.normalizer_spec = SimpleNamespace(precompiled_charsmap=read.charsmap)

    converters.import_protobuf = lambda *_: SimpleNamespace(ModelProto=ModelProto)
    converters.requires_backends = lambda *_: None
    return library


def prepared_alike(text: str, backend: Any, expected: Any) -> bool:
    """Whether a tokenizer brings a text into the form that sentencepiece does, before it is cut into pieces."""
    parts = backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text))
    return "".join(part for part, _ in parts) == expected.normalize(text)


def starts_with_sign(text: str) -> bool:
    """Whether a text starts with the sign for a space itself, before which the tokenizers library puts no other."""
    return text.lstrip().startswith("\u2581")


def assert_saved(mine: Any, path: Path) -> None:
    """Check that headway and transformers read what ``mine`` saves to the same ids."""
    mine.save_pretrained(path)
    again, expected = AutoTokenizer.from_pretrained(path), transformers().AutoTokenizer.from_pretrained(path)
    batch = texts(specials=True)[:600]
    for tokenizer in (again, expected):
        assert tokenizer(batch)["input_ids"] == mine(batch)["input_ids"]
        assert dict(tokenizer(["a"], ["b"])) == dict(mine(["a"], ["b"]))
        assert tokenizer.special_tokens_map == mine.special_tokens_map
        assert tokenizer.decode(tokenizer("the 日 dog")["input_ids"]) == mine.decode(mine("the 日 dog")["input_ids"])
    again.save_pretrained(path / "twice")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (path / name).read_bytes() == (path / "twice" / name).read_bytes()
