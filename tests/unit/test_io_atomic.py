"""Folders replaced in one step, whoever is killed or fails in between."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from headway.errors import CheckpointError
from headway.io import atomic
from headway.io.atomic import atomic_folder, write_file

ROOT = Path(atomic.__file__).parents[2]


def fill(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def fail_halfway(target: Path) -> None:
    with suppress(KeyError), atomic_folder(target) as draft:
        write_file(draft / "a", b"2")
        write_file(draft / "kept", b"2")
        raise KeyError


def test_a_new_folder(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "deep" / "new") as draft:
        write_file(draft / "a", b"1")
        assert not (tmp_path / "deep" / "new").exists()
    assert content(tmp_path) == {"deep/new/a": "1"}
    assert (tmp_path / "deep" / "new").stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask() -> int:
    old = os.umask(0)
    os.umask(old)
    return old


def test_files_are_added_replaced_removed_and_kept(tmp_path: Path) -> None:
    target = fill(tmp_path / "m", kept="k", replaced="old", removed="r")
    fill(target / "sub", deep="d")
    (target / "link").symlink_to("kept")
    os.chmod(target, 0o750)
    inode = (target / "kept").stat().st_ino
    with atomic_folder(target) as draft:
        assert content(draft) == content(target)
        write_file(draft / "replaced", b"new")
        write_file(draft / "added", b"+")
        (draft / "removed").unlink()
        assert (target / "replaced").read_text() == "old"
    assert content(target) == {"kept": "k", "replaced": "new", "added": "+", "sub/deep": "d", "link": "k"}
    assert (target / "kept").stat().st_ino == inode  # linked, not copied
    assert (target / "link").is_symlink()
    assert target.stat().st_mode & 0o777 == 0o750
    assert os.listdir(tmp_path) == ["m"]


def test_a_block_that_raises_changes_nothing(tmp_path: Path) -> None:
    target = fill(tmp_path / "m", a="1")
    for name in ("m", "new"):
        fail_halfway(tmp_path / name)
    assert content(target) == {"a": "1"}
    assert os.listdir(tmp_path) == ["m"]


def test_a_symlinked_target_is_followed(tmp_path: Path) -> None:
    real = fill(tmp_path / "real", a="1")
    (tmp_path / "link").symlink_to(real)
    with atomic_folder(tmp_path / "link") as draft:
        write_file(draft / "a", b"2")
    assert (tmp_path / "link").is_symlink()
    assert content(real) == {"a": "2"}


def test_a_file_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with pytest.raises(CheckpointError, match="f is a file"), atomic_folder(tmp_path / "f"):
        pass


def test_what_others_write_meanwhile_is_kept(tmp_path: Path) -> None:
    target = fill(tmp_path / "m", a="1", b="1", c="1", gone="1")
    with atomic_folder(target) as draft:
        write_file(draft / "a", b"ours")
        (target / "gone").unlink()
        write_file(target / "a", b"theirs")
        write_file(target / "b", b"theirs")
        fill(target / "runs", log="theirs")
        with atomic_folder(target) as other:  # as another thread would
            write_file(other / "tokenizer.json", b"theirs")
    assert content(target) == {"a": "ours", "b": "theirs", "c": "1", "runs/log": "theirs", "tokenizer.json": "theirs"}


@pytest.mark.parametrize("why", ["the working folder", "no exchange", "a mount point"])
def test_folders_that_cannot_be_exchanged_are_changed_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    target = fill(tmp_path / "m", kept="k", replaced="old", removed="r")
    if why == "the working folder":
        fill(target / "sub")
        monkeypatch.chdir(target / "sub")
    elif why == "no exchange":
        monkeypatch.setattr(sys, "platform", "darwin")
    else:
        monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == target)
    inode = target.stat().st_ino
    with atomic_folder(target) as draft:
        write_file(draft / "replaced", b"new")
        (draft / "more").mkdir()
        write_file(draft / "more" / "added", b"+")
        (draft / "removed").unlink()
    assert target.stat().st_ino == inode
    assert content(target) == {"kept": "k", "replaced": "new", "more/added": "+"}
    assert os.listdir(tmp_path) == ["m"]
    fail_halfway(target)
    assert content(target) == {"kept": "k", "replaced": "new", "more/added": "+"}
    os.getcwd()  # still there


def test_links_that_cannot_be_made_become_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "no links here")

    target = fill(tmp_path / "m", a="1", b="1")
    monkeypatch.setattr(os, "link", refuse)
    with atomic_folder(target) as draft:
        write_file(draft / "a", b"2")
    assert content(target) == {"a": "2", "b": "1"}


def test_drafts_of_the_dead_are_swept_and_those_of_the_living_kept(tmp_path: Path) -> None:
    target = fill(tmp_path / "m", a="1")
    dead = fill(tmp_path / ".m.saving-0123abcd", a="x")
    stranger = fill(tmp_path / ".other.saving-0123abcd", a="x")
    with atomic_folder(target) as living:
        assert not dead.exists()
        with atomic_folder(target) as draft:
            write_file(draft / "b", b"2")
        assert living.exists()
        write_file(living / "c", b"3")
    assert content(target) == {"a": "1", "b": "2", "c": "3"}
    assert sorted(os.listdir(tmp_path)) == sorted([stranger.name, "m"])


def test_write_file_leaves_links_alone(tmp_path: Path) -> None:
    fill(tmp_path, a="1")
    os.link(tmp_path / "a", tmp_path / "b")
    write_file(tmp_path / "a", b"2")
    assert (tmp_path / "b").read_text() == "1"


SAVER = """
import sys
from pathlib import Path
from headway.io.atomic import atomic_folder, write_file
target, turn = Path(sys.argv[1]), 0
print("ready", flush=True)
while True:
    version = "AB"[turn % 2]
    with atomic_folder(target) as draft:
        for path in draft.iterdir():
            if path.name.startswith("part"):
                path.unlink()
        for part in range(2 + turn % 2 * 3):
            write_file(draft / f"part{part}", (version * 1000).encode())
        write_file(draft / "config.json", version.encode())
    turn += 1
"""


def test_a_kill_at_any_moment_leaves_one_version_whole(tmp_path: Path) -> None:
    target = fill(tmp_path / "m", untouched="always")
    dice = random.Random(0)
    seen = set()
    for _ in range(25):
        saver = subprocess.Popen(
            [sys.executable, "-c", SAVER, str(target)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
        )
        assert saver.stdout is not None
        assert saver.stdout.readline() == b"ready\n"
        time.sleep(dice.uniform(0.01, 0.15))
        saver.send_signal(signal.SIGKILL)
        saver.wait()
        saver.stdout.close()
        found = content(target)
        assert found.pop("untouched") == "always"
        version = found.pop("config.json", "none yet")
        seen.add(version)
        parts = {"A": 2, "B": 5, "none yet": 0}[version]
        assert found == {f"part{part}": version * 1000 for part in range(parts)}
    assert {"A", "B"} <= seen
    with atomic_folder(target):
        pass
    assert os.listdir(tmp_path) == ["m"]  # what the killed ones left is gone
