"""Replacing the content of a folder in one step: whoever looks, or is killed, sees the old folder or the new one."""

import ctypes
import fcntl
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from errno import ENOSYS
from pathlib import Path

from headway.errors import CheckpointError

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux' renameat2

Stamp = tuple[int, int, int]


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a draft of the folder ``target``; when the block ends well, the draft takes its place in one step.

    The draft starts with what ``target`` holds, as hard links: replace files by ``write_file`` or by renaming onto
    them, never write into them. If the block raises, the draft is removed and ``target`` stays as it was. Files that
    others put into ``target`` meanwhile are kept. What a killed save left behind is removed by the next one to the
    same target. A target that is a symlink is followed.

    A folder that cannot be exchanged (a mount point, a read-only parent, an operating system other than Linux, or the
    working folder, which would be pulled from under the shell that sits in it) has its files renamed into place one by
    one: each is whole, but a kill within those renames leaves some old and some new.

    Raises CheckpointError if ``target`` is a file or cannot be written to.
    """
    target = Path(os.path.realpath(target))
    if target.exists() and not target.is_dir():
        raise CheckpointError(f"{target} is a file: give a folder to save to.")
    home = target.parent if _is_movable(target) else target
    prefix = f".{target.name}.saving-"
    with ExitStack() as stack:
        with _explained(target):
            home.mkdir(parents=True, exist_ok=True)
            with _locked(home):
                _sweep(home, prefix)
                draft = home / f"{prefix}{secrets.token_hex(4)}"
                draft.mkdir()
                stack.callback(shutil.rmtree, draft, ignore_errors=True)  # after the exchange it is the old folder
                stack.enter_context(_locked(draft))  # the sign that its maker lives
                if target.is_dir():
                    _link(target, draft, prefix)
                base = _stamps(draft)
        yield draft
        with _explained(target):
            ours = _stamps(draft)
            _flush(draft, (name for name, stamp in ours.items() if stamp != base.get(name)))
            with _locked(home):
                if home != target and target.exists():
                    _adopt(target, draft, base, ours)
                if home == target or not _exchange(draft, target):
                    _replace_files(draft, target, base, ours)
                _fsync(home)


def write_file(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` as a new file, whole or not at all.

    Hard links to and maps of a former one keep their content.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{target} cannot be written to: {error.strerror or error}.") from error


def _is_movable(target: Path) -> bool:
    """Whether the folder may be exchanged for another one of the same name."""
    if not target.exists():
        return True
    with suppress(OSError):  # the working folder may be gone
        if Path(os.path.realpath(os.getcwd())).is_relative_to(target):
            return False
    return not os.path.ismount(target) and os.access(target.parent, os.R_OK | os.W_OK)


@contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of ``folder``, which the system frees when the process dies.

    Without ``wait``, OSError if another holds it or the file system has no locks; with it, such a system is let pass.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError) if wait else nullcontext():
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        with suppress(OSError):  # closing alone frees nothing where a forked child has the descriptor too
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _sweep(home: Path, prefix: str) -> None:
    """Remove the drafts in ``home`` whose makers no longer live, which is when nobody holds their lock."""
    for stale in [path for path in home.iterdir() if path.name.startswith(prefix)]:
        with suppress(OSError), _locked(stale, wait=False):
            shutil.rmtree(stale, ignore_errors=True)


def _link(source: Path, draft: Path, prefix: str) -> None:
    """Fill ``draft`` with hard links to the files of ``source``, or copies where there can be no links."""

    def drafts(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if name.startswith(prefix)]

    shutil.copytree(source, draft, symlinks=True, ignore=drafts, copy_function=_link_file, dirs_exist_ok=True)


def _link_file(old: str, new: str) -> None:
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError:
        shutil.copy2(old, new, follow_symlinks=False)


def _stamps(folder: Path) -> dict[str, Stamp]:
    """Return the files below ``folder`` by relative name, each with what changes when it is replaced."""
    paths = (os.path.join(root, name) for root, _, names in os.walk(folder) for name in names)
    facts = ((os.path.relpath(path, folder), os.lstat(path)) for path in paths)
    return {name: (fact.st_ino, fact.st_mtime_ns, fact.st_size) for name, fact in facts}


def _flush(draft: Path, names: Iterator[str]) -> None:
    """Bring the files ``names`` of ``draft`` and its folders to the disk."""
    for name in names:
        if not (draft / name).is_symlink():
            _fsync(draft / name)
    for root, _, _ in os.walk(draft):
        _fsync(Path(root))


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(draft: Path, target: Path) -> bool:
    """Let the two folders change places, or ``draft`` take the free place; False if the system cannot."""
    with suppress(OSError):
        if target.exists():
            _rename_exchange(draft, target)
        else:
            draft.rename(target)
        return True
    return False


def _rename_exchange(one: Path, other: Path) -> None:
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        raise OSError(ENOSYS, "folders cannot be exchanged")
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) != 0:
        raise OSError(ctypes.get_errno(), "folders cannot be exchanged")


def _adopt(target: Path, draft: Path, base: dict[str, Stamp], ours: dict[str, Stamp]) -> None:
    """Bring to ``draft`` what others changed in ``target`` since it was made, unless we changed it too."""
    theirs = _stamps(target)
    for name in theirs.keys() | base.keys():
        if theirs.get(name) != base.get(name) and ours.get(name) == base.get(name):
            (draft / name).unlink(missing_ok=True)
            if name in theirs:
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                _link_file(str(target / name), str(draft / name))


def _replace_files(draft: Path, target: Path, base: dict[str, Stamp], ours: dict[str, Stamp]) -> None:
    """Bring to ``target``, file by file, what was changed in ``draft``."""
    target.mkdir(exist_ok=True)
    for name, stamp in ours.items():
        if stamp != base.get(name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).replace(target / name)
    for name in base.keys() - ours.keys():
        (target / name).unlink(missing_ok=True)
    _fsync(target)
