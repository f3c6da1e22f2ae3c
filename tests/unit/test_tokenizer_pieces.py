"""Sentencepiece files: the same ids as sentencepiece itself, on texts in a dozen scripts."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pieces import model, oracle, prepared_alike, starts_with_sign, texts
from tokenizers import Tokenizer as Backend

from headway.errors import TokenizerError
from headway.tokenization.segmenting import segmenter
from headway.tokenization.sentencepiece import Algorithm, PieceType, SentencePiece, read_sentencepiece

MODELS: dict[str, dict[str, Any]] = {
    "unigram": {},
    "identity": {"normalization_rule_name": "identity"},
    "nfkc": {"normalization_rule_name": "nfkc"},
    "casefold": {"normalization_rule_name": "nmt_nfkc_cf"},
    "rare characters unknown": {"character_coverage": 0.98, "required_chars": "</>"},
    "bytes": {"byte_fallback": True, "vocab_size": 900, "character_coverage": 0.98, "required_chars": "<0x>"},
    "symbols": {"user_defined_symbols": "<sep>,[X]"},
    "no prefix": {"add_dummy_prefix": False},
    "words together": {"split_by_whitespace": False},
    "bpe": {"model_type": "bpe"},
    "llama": {
        "model_type": "bpe",
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
        "vocab_size": 1000,
    },
    "gemma": {
        "model_type": "bpe",
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "add_dummy_prefix": False,
        "user_defined_symbols": "<sep>,[X],\n,\n\n,\u2581\u2581",
        "vocab_size": 1000,
    },
    "bpe symbols": {"model_type": "bpe", "user_defined_symbols": "<sep>,[X]", "normalization_rule_name": "identity"},
    "characters": {"model_type": "char"},
}
# What the ``Precompiled`` normaliser of the tokenizers library maps otherwise than sentencepiece: it looks up clusters
# of characters as wholes, so that a mark after a mapped character is lost and "\r\n" is one space. Of 1000 texts that
# are full of such clusters.
LOST_PER_1000 = 4


def read(data: bytes, path: Path) -> tuple[SentencePiece, Backend]:
    (path / "m.model").write_bytes(data)
    file = read_sentencepiece(path / "m.model")
    return file, segmenter(file, file.pieces, "always" if file.add_dummy_prefix else "never")


@pytest.fixture(params=MODELS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, Any], SentencePiece, Backend, Any]:
    options = MODELS[request.param]
    data = model(**options)
    return options, *read(data, tmp_path), oracle(data)


def test_what_is_in_a_file(case: Any) -> None:
    options, file, _, expected = case
    assert len(file.pieces) == len(expected)
    for id, (text, score, kind) in enumerate(file.pieces):
        assert (text, score) == (expected.id_to_piece(id), expected.get_score(id))
        assert (kind is PieceType.CONTROL) == expected.is_control(id)
        assert (kind is PieceType.UNKNOWN) == expected.is_unknown(id)
        assert (kind is PieceType.BYTE) == expected.is_byte(id)
    assert file.algorithm is Algorithm[options.get("model_type", "unigram").upper()]
    assert file.byte_fallback == options.get("byte_fallback", False)
    assert bool(file.charsmap) == (options.get("normalization_rule_name") != "identity")


def is_symbol(text: str, options: dict[str, Any]) -> bool:
    """Whether a text is a user's symbol and nothing else, which gets no space before it."""
    return text.strip(" \u2581") in options.get("user_defined_symbols", "").split(",") and options.get(
        "add_dummy_prefix", True
    )


def test_ids_equal_sentencepieces(case: Any) -> None:
    options, _, backend, expected = case
    differing = [text for text in set(texts()) if backend.encode(text).ids != expected.encode(text)]
    assert all(is_symbol(t, options) or not prepared_alike(t, backend, expected) for t in differing), differing
    mapped = options.get("normalization_rule_name") != "identity"
    lost = [text for text in differing if not (is_symbol(text, options) or starts_with_sign(text))]
    assert len(lost) <= (LOST_PER_1000 * len(texts()) / 1000 if mapped else 0), lost


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_ids_of_any_text(text: str) -> None:
    for name in ("unigram", "bytes", "bpe", "llama"):
        backend, expected = FUZZED.setdefault(name, fuzzed(name))
        if backend.encode(text).ids != expected.encode(text):
            assert not prepared_alike(text, backend, expected)


FUZZED: dict[str, tuple[Backend, Any]] = {}


def fuzzed(name: str) -> tuple[Backend, Any]:
    from test_tokenizer_made import temporary_folder

    data = model(**MODELS[name])
    return read(data, temporary_folder())[1], oracle(data)


def test_offsets_slice_the_text(case: Any) -> None:
    _, file, backend, _ = case
    for text in texts()[:400]:
        encoding = backend.encode(text)
        ends = [(0, 0), *encoding.offsets]
        for (before, _), (start, end) in zip(ends, encoding.offsets, strict=False):
            assert before <= start <= end <= len(text)
        if not file.charsmap:
            for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
                if token.strip("\u2581") and token.isalnum():
                    assert text[start:end].strip() == token.strip("\u2581")


def test_decoding_gives_the_text_back(case: Any) -> None:
    _, file, backend, expected = case
    for text in texts()[:60]:
        ids = expected.encode(text)
        if file.pieces and not any(expected.is_unknown(id) for id in ids):
            assert backend.decode(ids, skip_special_tokens=False) == expected.decode(ids)


def test_long_texts_are_cut_at_spaces_first_where_pieces_do_not_reach_across(tmp_path: Path) -> None:
    for name, split in (("unigram", True), ("words together", False)):
        _, backend = read(model(**MODELS[name]), tmp_path)
        assert (len(backend.pre_tokenizer.pre_tokenize_str("\u2581a\u2581b")) == 2) is split


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x0a\x7f\x00", "ends within a field"),
        (b"\x0b", "unknown kind 3"),
        (b"\x0a\x02\x10\x01", "is not a sentencepiece model"),
        (b"\x0a\x03\x0a\x01a", "no piece stands for what is unknown"),
    ],
)
def test_broken_files_are_told(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "m.model").write_bytes(content)
    with pytest.raises(TokenizerError, match=message):
        read_sentencepiece(tmp_path / "m.model")


def test_files_that_cannot_be_read_so(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="treat_whitespace_as_suffix"):
        read(model(treat_whitespace_as_suffix=True), tmp_path)
    with pytest.raises(TokenizerError, match="whole words"):
        read(model(model_type="word"), tmp_path)
