"""What readers of vocabulary files share: what they are given, what they return, and the files' simple parts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import AddedToken
from tokenizers import Tokenizer as Backend

from headway.errors import TokenizerError
from headway.tokenization.kinds import GENERIC, Kind, Reader, kind_of
from headway.tokenization.special import AnyToken, as_added_token


@dataclass(frozen=True)
class Files:
    """What a reader is given: its files in the order of READERS, the settings, and the kind of tokenizer if known.

    ``roles`` are the special tokens by role as the files say; defaults of the kind fill in what they leave open.
    ``listed`` are the special tokens without a role, ``added`` all added tokens by id.
    """

    name: str
    paths: tuple[Path, ...]
    config: Mapping[str, Any]
    roles: Mapping[str, AnyToken]
    listed: tuple[str, ...]
    added: Mapping[int, AddedToken]
    kind: Kind | None


class Built(NamedTuple):
    """A tokenizer, the kind it was read as, and whether its file says all there is to say about added tokens.

    ``rebuilt`` says that transformers makes another pipeline of its own of such files, so that what is saved must go
    by tokenizer.json alone; ``target`` is the tokenizer of the other language where it is one of its own.
    """

    backend: Backend
    kind: Kind | None
    whole: bool = False
    rebuilt: bool = False
    target: Backend | None = None


def kind_read_by(reader: Reader, files: Files) -> Kind | None:
    """Return the kind if its files are read so; None if nothing says what it is; TokenizerError if it is another."""
    kind, named = files.kind, files.config.get("tokenizer_class")
    is_other = named is not None and named not in GENERIC and kind_of(named) is None
    if not is_other and (kind is None or kind.reader == reader):
        return kind
    what = f"{named!r}" if named else "another kind"
    raise TokenizerError(
        f"{files.name!r} has no tokenizer.json, and headway cannot read {files.paths[0].name} for a "
        f"tokenizer of {what}: convert it to tokenizer.json once."
    )


def present(
    kind: Kind | None,
    roles: Mapping[str, AnyToken],
    ids: Mapping[str, int],
    *,
    mask_lstrip: bool = False,
    strip: bool = False,
) -> dict[str, AddedToken]:
    """Return the special tokens by role that the vocabulary has.

    Where the files say nothing of it, the mask takes the space before it with ``mask_lstrip``, and every token the
    spaces on both sides with ``strip``.
    """
    tokens = {
        role: as_added_token(token, special=True, lstrip=strip or (mask_lstrip and role == "mask_token"), rstrip=strip)
        for role, token in {**(kind.specials if kind else {}), **roles}.items()
    }
    return {role: token for role, token in tokens.items() if token.content in ids}


def contents(specials: Mapping[str, AddedToken]) -> dict[str, str]:
    """Return the tokens by the short name of their role, as frames call them."""
    return {role.removesuffix("_token"): token.content for role, token in specials.items()}


def mark(backend: Backend, specials: Mapping[str, AddedToken]) -> None:
    """Let the special tokens be found in texts as wholes."""
    backend.add_special_tokens(list(specials.values()))


def read_text(path: Path) -> str:
    """Return the text of a file; TokenizerError if it is not UTF-8."""
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TokenizerError(f"{path} cannot be read as UTF-8 text ({error}): download it again.") from error


def lines(path: Path) -> list[str]:
    """Return the lines of a file."""
    # Not splitlines(): it would also cut at separators that may be tokens, such as U+2028.
    return read_text(path).removesuffix("\n").split("\n")


def read_ids(path: Path) -> dict[str, int]:
    """Return the ids of tokens that a JSON file holds."""
    try:
        ids = json.loads(read_text(path))
    except ValueError as error:
        raise TokenizerError(f"{path} is not valid JSON ({error}): download it again.") from error
    if not isinstance(ids, dict) or not all(isinstance(id, int) for id in ids.values()):
        raise TokenizerError(f"{path} must map tokens to ids.")
    return ids
