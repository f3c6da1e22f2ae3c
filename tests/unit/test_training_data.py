"""Rows of files."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest

from headway.errors import InputError, MissingExtraError
from headway.training.data import held_out, read_rows
from small import one_sentence

ROWS = [{"text": 'a, "b"\nc', "label": "1"}, {"text": "ü", "label": "2"}]
FILES = {
    "a.csv": 'text,label\n"a, ""b""\nc",1\n\nü,2\n',
    "b.csv": '\ufefftext;label\n"a, ""b""\nc";1\nü;2\n',
    "c.tsv": 'text\tlabel\n"a, ""b""\nc"\t1\nü\t2\n',
    "d.jsonl": "\n".join(map(json.dumps, ROWS)) + "\n\n",
    "e.json": json.dumps(ROWS),
    "f.json": json.dumps({"version": 1, "data": ROWS}),
}


@pytest.mark.parametrize("name", FILES)
def test_the_same_rows_in_every_format(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FILES[name].encode())
    assert read_rows(tmp_path / name) == ROWS


def test_lines_of_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\n two \n")
    assert read_rows(tmp_path / "a.txt") == [{"text": "one"}, {"text": "two"}]


def test_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(arrow.Table.from_pylist([{"tokens": ["a", "b"], "label": 1}]), tmp_path / "a.parquet")
    assert read_rows(tmp_path / "a.parquet") == [{"tokens": ["a", "b"], "label": 1}]


def test_parquet_without_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return whole(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    (tmp_path / "a.parquet").write_bytes(b"x")
    with pytest.raises(MissingExtraError, match=r"headway\[data\]"):
        read_rows(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.csv", "text,label\na\n", "Line 2"),
        ("a.csv", "text,label\n", "no rows"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', "Line 2"),
        ("a.jsonl", "[1]\n", "Line 1"),
        ("a.json", '{"a": 1}', "list"),
        ("a.parquet", "x", "parquet"),
        ("a.doc", "x", ".csv"),
        ("a.txt", b"\xff\xfe", "UTF-8"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, content: str | bytes, word: str) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    with pytest.raises(InputError) as error:
        read_rows(tmp_path / name)
    assert word in one_sentence(error.value)


def test_a_file_that_is_not_there_has_a_neighbour(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match=r"Did you mean '.*reviews.csv'"):
        read_rows(tmp_path / "review.csv")


def test_rows_are_held_out_once_and_for_all() -> None:
    rows = [{"at": at} for at in range(50)]
    train, held = held_out(rows, 0.1, seed=1)
    assert len(held) == 5
    assert sorted([*train, *held], key=lambda row: row["at"]) == rows
    assert held_out(rows, 0.1, seed=1) == (train, held)
    assert held_out(rows, 0.1, seed=2) != (train, held)
    assert [len(part) for part in held_out(rows[:2], 0.01, seed=0)] == [1, 1]


@pytest.mark.parametrize(("count", "share"), [(1, 0.5), (5, 0.0), (5, 1.0)])
def test_shares_that_leave_nothing(count: int, share: float) -> None:
    with pytest.raises(InputError) as error:
        held_out([{"a": 1}] * count, share, seed=0)
    one_sentence(error.value)
