"""The vocabulary as bytes: what each token adds to a text, for those who follow a text byte by byte."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tokenizers import Tokenizer as Backend

from headway.errors import TokenizerError

_PRINTABLE = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]
# The characters that stand for bytes in byte-level vocabularies (GPT-2's), by byte.
ALPHABET = "".join(chr(byte if byte in _PRINTABLE else 256 + _OTHERS.index(byte)) for byte in range(256))
_BYTE_OF = {char: byte for byte, char in enumerate(ALPHABET)}
_FALLBACK = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class ByteVocabulary:
    """What each token stands for behind other tokens.

    Args:
        backend: decodes by bytes (GPT-2's way) or by pieces with a sign for the space (sentencepiece's).
        special: ids that stand for no text, besides those that the backend knows as such.

    Attributes:
        tokens: the bytes of each id; empty where an id has no token.
        special: all ids that stand for no text.
        drops_first_space: a space at the very beginning of a text is not its own and left out.

    Raises:
        TokenizerError: its tokens stand for no bytes of their own; WordPiece's for one depend on their neighbours.
    """

    def __init__(self, backend: Backend, special: Iterable[int] = ()) -> None:
        steps = list(_steps(_state(backend.decoder)))
        names = [step["type"] for step in steps]
        strange = [name for name in names if name not in (*_READERS, "Fuse", "Strip")]
        if strange or not set(names) & set(_READERS) or "Strip" in names[: _index(names, "Fuse")]:
            raise TokenizerError(
                f"The tokens of this vocabulary ({type(backend.model).__name__}, decoded by "
                f"{', '.join(names) or 'nothing'}) stand for no bytes of their own; byte-level and sentencepiece "
                "vocabularies do."
            )
        self._backend = backend
        added = backend.get_added_tokens_decoder()
        self.special = frozenset((*special, *(id for id, token in added.items() if token.special)))
        vocabulary = backend.get_vocab(with_added_tokens=True)
        self.tokens = [b""] * (max(vocabulary.values(), default=-1) + 1)
        for token, id in vocabulary.items():
            self.tokens[id] = _read(token, steps)
        self.drops_first_space = any(
            (step["type"] == "Strip" and step["start"] > 0 and step["content"] == " ")
            or (step["type"] == "Metaspace" and step["prepend_scheme"] != "never")
            for step in steps
        )
        self._ids = {token: id for id, token in enumerate(self.tokens) if token and id not in self.special}
        self._longest = max(map(len, self._ids), default=0)

    def encode(self, text: bytes) -> list[int]:
        """Ids, none of them special, that stand for ``text`` behind other text; as far as there are such."""
        try:
            ids = self._backend.encode(text.decode(), add_special_tokens=False).ids
        except UnicodeDecodeError:
            ids = []
        if ids and self.tokens[ids[0]] == b" " and not text.startswith(b" "):
            ids = ids[1:]  # put before a text by the tokenizer
        if b"".join(self.tokens[id] for id in ids) == text and not self.special.intersection(ids):
            return ids
        return self._longest_first(text)

    def _longest_first(self, text: bytes) -> list[int]:
        ids, at = [], 0
        while at < len(text):
            sizes = range(min(self._longest, len(text) - at), 0, -1)
            size = next((size for size in sizes if text[at : at + size] in self._ids), None)
            if size is None:
                break
            ids.append(self._ids[text[at : at + size]])
            at += size
        return ids


def _state(decoder: Any) -> dict[str, Any]:
    found: dict[str, Any] = {} if decoder is None else json.loads(decoder.__getstate__())
    return found


def _steps(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps of a decoder, those within others too."""
    if state.get("type") == "Sequence":
        for step in state["decoders"]:
            yield from _steps(step)
    elif state:
        # A pattern that is no plain text is none that can be read token by token.
        plain = state["type"] != "Replace" or "String" in state["pattern"]
        yield state if plain else {"type": "Replace by pattern"}


def _index(names: list[str], name: str) -> int:
    return names.index(name) if name in names else len(names)


def _byte_level(token: str, step: dict[str, Any]) -> str | bytes:
    known = all(char in _BYTE_OF for char in token)
    return bytes(_BYTE_OF[char] for char in token) if known else token.encode()


def _fallback(token: str, step: dict[str, Any]) -> str | bytes:
    found = _FALLBACK.fullmatch(token)
    return bytes([int(found[1], 16)]) if found else token


_READERS = {
    "ByteLevel": _byte_level,
    "ByteFallback": _fallback,
    "Replace": lambda token, step: token.replace(step["pattern"]["String"], step["content"]),
    "Metaspace": lambda token, step: token.replace(step["replacement"], " "),
}


def _read(token: str, steps: list[dict[str, Any]]) -> bytes:
    found: str | bytes = token
    for step in steps:
        reader = _READERS.get(step["type"])
        if reader is not None and isinstance(found, str):
            found = reader(found, step)
    return found if isinstance(found, bytes) else found.encode()
