"""Tokens as people read them: without the signs by which vocabularies mark spaces, words and bytes."""

from __future__ import annotations

from collections.abc import Sequence

from headway.tokenization.byte_vocabulary import ALPHABET

_BYTE_OF = {char: byte for byte, char in enumerate(ALPHABET)}
_SPACE = "\u2581"  # sentencepiece's
_SHOWN = str.maketrans({"\n": "⏎", "\r": "␍", "\t": "⇥", " ": "␣"})
GOES_ON = "·"


def readable(tokens: Sequence[str | None]) -> list[str]:
    """A label for each token of a text.

    Signs for spaces go, ``·`` stands before a piece that goes on with the word before it, bytes are the characters
    that they make up (``<E282>`` where they make up none), and white space is drawn.
    """
    texts = _decoded(["" if token is None else token for token in tokens])
    spaced = any(text.startswith(" ") for text in texts)
    labels: list[str] = []
    for text in texts:
        before = labels[-1][-1:] if labels else ""
        if len(text) > 2 and text.startswith("##"):
            label = GOES_ON + text[2:]
        elif spaced and text[:1].isalnum() and before.isalnum():
            label = GOES_ON + text
        else:
            label = text.removeprefix(" ") or text
        labels.append(label.translate(_SHOWN) or "∅")
    return labels


def _decoded(tokens: Sequence[str]) -> list[str]:
    """The tokens with byte-level vocabularies' characters read as bytes, and sentencepiece's sign as the space it is.

    The characters tell by themselves: letters outside ASCII are whole characters of UTF-8 in such a vocabulary, and as
    good as never in another.
    """
    found = [_utf8(token) for token in tokens]
    byte_level = any(text is not None and text != token for token, text in zip(tokens, found, strict=True))
    return [
        (_hexadecimal(token) if byte_level and text is None else text or token).replace(_SPACE, " ")
        for token, text in zip(tokens, found, strict=True)
    ]


def _utf8(token: str) -> str | None:
    """The text of a token's bytes; the token itself where it stands for no bytes, None for a part of a character."""
    if any(char not in _BYTE_OF for char in token):
        return token
    try:
        return bytes(_BYTE_OF[char] for char in token).decode()
    except UnicodeDecodeError:
        return None


def _hexadecimal(token: str) -> str:
    return f"<{bytes(_BYTE_OF[char] for char in token).hex().upper()}>"
