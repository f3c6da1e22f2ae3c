"""From sentencepiece's pieces to a ``tokenizers.Tokenizer`` that cuts texts as sentencepiece does."""

import re
from collections.abc import Sequence
from typing import Literal

from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend
from tokenizers.models import Model
from tokenizers.normalizers import Normalizer

from headway.errors import TokenizerError
from headway.tokenization.sentencepiece import Algorithm, Piece, PieceType, SentencePiece

# Before which stretches of text a space is put: each between special tokens, the first alone, none.
Prefix = Literal["always", "first", "never"]

SPACE = "\u2581"
# The score of pieces that no text is cut into, far below what any other way of cutting it can add up to.
_NEVER = -1e6


def segmenter(
    model: SentencePiece, pieces: Sequence[Piece], prefix: Prefix, cleaning: Sequence[Normalizer] = ()
) -> Backend:
    """Return the tokenizer of ``model`` in which a piece's place in ``pieces`` is its id.

    ``cleaning`` is done to texts before sentencepiece's own preparation.
    """
    if model.space_last:
        raise TokenizerError("Sentencepiece models whose pieces end with the space (treat_whitespace_as_suffix) are "
                             "not supported: convert the tokenizer to tokenizer.json.")  # fmt: skip
    symbols = [piece.text for piece in pieces if piece.type is PieceType.USER_DEFINED]
    as_tokens = symbols if model.algorithm is not Algorithm.UNIGRAM else []
    backend = Backend(_model(model, pieces))
    # The pre-tokenizer puts the space there where it can: then tokens that users add are found within words too. But it
    # puts none before a text's own space, and one behind every symbol, which sentencepiece does not.
    in_normalizer = prefix == "always" and (bool(as_tokens) or not model.remove_extra_whitespaces)
    backend.normalizer = _normalizer(model, in_normalizer, cleaning, as_tokens)
    mark = SPACE if model.escape_whitespaces else " "
    # Texts are cut at spaces first where no piece reaches across one: the same pieces, found sooner.
    inner = any(mark in piece.text[1:] for piece in pieces if piece.type in (PieceType.NORMAL, PieceType.USER_DEFINED))
    scheme = "never" if in_normalizer else prefix
    backend.pre_tokenizer = pre_tokenizers.Metaspace(mark, prepend_scheme=scheme, split=not inner)
    backend.decoder = _decoder(model, prefix)
    backend.add_tokens([_symbol(backend, text) for text in as_tokens])
    return backend


def _model(model: SentencePiece, pieces: Sequence[Piece]) -> Model:
    unknown = next(number for number, piece in enumerate(pieces) if piece.type is PieceType.UNKNOWN)
    if model.algorithm is Algorithm.UNIGRAM:
        return models.Unigram(_scores(pieces), unknown, model.byte_fallback)
    if model.algorithm is Algorithm.WORD:
        raise TokenizerError("Sentencepiece models of whole words are not supported: convert it to tokenizer.json.")
    return models.BPE(
        {piece.text: number for number, piece in enumerate(pieces)},
        _merges(pieces) if model.algorithm is Algorithm.BPE else [],
        unk_token=pieces[unknown].text,
        fuse_unk=True,
        byte_fallback=model.byte_fallback,
    )


def _scores(pieces: Sequence[Piece]) -> list[tuple[str, float]]:
    best = max((piece.score for piece in pieces if piece.type is PieceType.NORMAL), default=0.0)

    def score(piece: Piece) -> float:
        if piece.type is PieceType.NORMAL:
            return float(f"{piece.score:.9g}")  # all of a float32, and short enough to be written without loss
        # A user's symbol wins over whatever it could be cut into.
        return len(piece.text.encode()) * best - 0.1 if piece.type is PieceType.USER_DEFINED else _NEVER

    return [(piece.text, score(piece)) for piece in pieces]


def _merges(pieces: Sequence[Piece]) -> list[tuple[str, str]]:
    """Return the pairs that make up a piece, the best piece first: sentencepiece joins any two that make one."""
    normal = {piece.text: piece.score for piece in pieces if piece.type is PieceType.NORMAL}
    ranked = sorted(normal, key=normal.__getitem__, reverse=True)
    return [
        (left, right)
        for text in ranked
        for cut in range(1, len(text))
        if (left := text[:cut]) in normal and (right := text[cut:]) in normal
    ]


def _normalizer(
    model: SentencePiece, leads: bool, cleaning: Sequence[Normalizer], symbols: Sequence[str]
) -> Normalizer:
    steps = list(cleaning)
    mark = SPACE if model.escape_whitespaces else " "
    if model.charsmap:
        steps.append(normalizers.Precompiled(model.charsmap))
    if model.remove_extra_whitespaces:
        steps.append(normalizers.Replace(Regex(rf"\A +|[ {mark}]+\z| +(?= )"), ""))
    if leads:
        # Symbols pass through here on their own to be found in prepared texts, so they must come out as they are.
        alone = "".join(rf"|{re.escape(symbol)}\z" for symbol in symbols)
        steps.append(normalizers.Replace(Regex(rf"\A(?!\z{alone})"), mark))
    if model.escape_whitespaces:
        steps.append(normalizers.Replace(" ", SPACE))
    return normalizers.Sequence(steps)


def _decoder(model: SentencePiece, prefix: Prefix) -> decoders.Decoder:
    steps: list[decoders.Decoder] = [decoders.Replace(SPACE, " ")] if model.escape_whitespaces else []
    if model.byte_fallback:
        steps.append(decoders.ByteFallback())
    steps.append(decoders.Fuse())
    if prefix != "never":
        steps.append(decoders.Strip(" ", 1, 0))
    return decoders.Sequence(steps)


def _symbol(backend: Backend, text: str) -> AddedToken:
    kept = backend.normalizer.normalize_str(text) == text
    return AddedToken(text, special=False, normalized=kept)
