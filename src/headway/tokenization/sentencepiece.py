"""Sentencepiece's model files: what is in them, read from the protobuf wire format.

The fields that decide on ids, and their numbers: those of ``sentencepiece_model.proto`` (Kudo & Richardson,
arXiv:1808.06226). All others are passed over.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from headway.errors import TokenizerError
from headway.io.files import damage


class PieceType(IntEnum):
    """What a piece is for."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class Algorithm(IntEnum):
    """How texts are cut into pieces."""

    UNIGRAM = 1
    BPE = 2
    WORD = 3
    CHAR = 4


class Piece(NamedTuple):
    """A piece of the vocabulary; its place in the file is its id."""

    text: str
    score: float
    type: PieceType


@dataclass(frozen=True)
class SentencePiece:
    """A model: its pieces, how they are found and how texts are prepared.

    ``charsmap`` is the precompiled map of characters, empty for none. ``space_last`` says that pieces end with the sign
    for a space rather than start with it.
    """

    pieces: tuple[Piece, ...]
    algorithm: Algorithm = Algorithm.UNIGRAM
    byte_fallback: bool = False
    space_last: bool = False
    charsmap: bytes = b""
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True
    escape_whitespaces: bool = True


_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_PIECE, _TRAINER, _NORMALIZER = 1, 2, 3  # fields of the model
_TEXT, _SCORE, _TYPE = 1, 2, 3  # of a piece
_ALGORITHM, _SPACE_LAST, _BYTE_FALLBACK = 3, 24, 35  # of the trainer's settings
_CHARSMAP, _DUMMY_PREFIX, _EXTRA_SPACES, _ESCAPE = 2, 3, 4, 5  # of the normaliser's


def read_sentencepiece(path: Path) -> SentencePiece:
    """Return the model in the file ``path``; TokenizerError if it is none."""
    data = path.read_bytes()
    if what := damage(data[:64]):
        raise TokenizerError(f"{path} {what}.")
    try:
        model = _parse(data)
    except (ValueError, LookupError, struct.error) as error:
        raise TokenizerError(f"{path} is not a sentencepiece model ({error}): download it again.") from error
    if not any(piece.type is PieceType.UNKNOWN for piece in model.pieces):
        raise TokenizerError(f"{path} is not a sentencepiece model (no piece stands for what is unknown).")
    return model


def _parse(data: bytes) -> SentencePiece:
    pieces: list[Piece] = []
    trainer: dict[int, bytes | int] = {}
    normalizer: dict[int, bytes | int] = {}
    for field, value in _fields(data):
        if field == _PIECE:
            pieces.append(_piece(_as_bytes(value)))
        elif field == _TRAINER:
            trainer = dict(_fields(_as_bytes(value)))
        elif field == _NORMALIZER:
            normalizer = dict(_fields(_as_bytes(value)))
    return SentencePiece(
        tuple(pieces),
        Algorithm(int(trainer.get(_ALGORITHM, Algorithm.UNIGRAM))),
        byte_fallback=bool(trainer.get(_BYTE_FALLBACK, False)),
        space_last=bool(trainer.get(_SPACE_LAST, False)),
        charsmap=_as_bytes(normalizer.get(_CHARSMAP, b"")),
        add_dummy_prefix=bool(normalizer.get(_DUMMY_PREFIX, True)),
        remove_extra_whitespaces=bool(normalizer.get(_EXTRA_SPACES, True)),
        escape_whitespaces=bool(normalizer.get(_ESCAPE, True)),
    )


def _piece(data: bytes) -> Piece:
    fields = dict(_fields(data))
    (score,) = struct.unpack("<f", _as_bytes(fields.get(_SCORE, bytes(4))))
    return Piece(_as_bytes(fields[_TEXT]).decode(), score, PieceType(int(fields.get(_TYPE, PieceType.NORMAL))))


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Yield the number and the value of each field of a message: an integer, or the bytes of anything longer."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, place = _varint(data, place)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"a field of the unknown kind {kind} at byte {place}")
        if place + size > len(data):
            raise ValueError(f"it ends within a field, at byte {len(data)}")
        yield key >> 3, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return an integer of variable length and the place after it."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7


def _as_bytes(value: bytes | int) -> bytes:
    if isinstance(value, bytes):
        return value
    raise ValueError("a number stands where bytes are expected")
