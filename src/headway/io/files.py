"""Small files read with errors that say what is wrong with them."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from headway.errors import CheckpointError, HeadwayError


def damage(head: bytes) -> str | None:
    """Say what a file that starts with ``head`` is if it cannot be part of a checkpoint at all, else None.

    The answer completes the sentence ``"<file> ..."``.
    """
    if not head:
        return "is empty (0 bytes): download or save it again"
    if head.startswith(b"version https://git-lfs"):
        return (
            "is a Git-LFS pointer, not the file it stands for: install git-lfs and run `git lfs pull` there, "
            "or download the file again"
        )
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return "is an HTML page, which a server sent in place of the file: download it again"
    return None


class Start(NamedTuple):
    """The first bytes of a file, and the size of the whole."""

    data: bytes
    size: int


def read_start(path: Path, count: int) -> Start:
    """Return the first ``count`` bytes of ``path``, or all where there are fewer; OSError if that fails."""
    with path.open("rb") as file:
        return Start(file.read(count), path.stat().st_size)


def read_bytes(path: Path) -> bytes:
    """Return the content of ``path``; CheckpointError if the operating system refuses."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error


def read_object(path: Path, kind: type[HeadwayError]) -> dict[str, Any]:
    """Return the JSON object in the file ``path``; raise ``kind`` naming the file if it does not hold one."""
    data = read_bytes(path)
    if what := damage(data[:64]):
        raise kind(f"{path} {what}.")
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except RecursionError:
        raise kind(f"{path} is not valid JSON: it is nested too deeply.") from None
    except ValueError as error:
        raise kind(f"{path} is not valid JSON ({error}): mend it or download it again.") from error
    if not isinstance(value, dict):
        raise kind(f"{path} holds a JSON {type(value).__name__} where an object is expected.")
    return value
