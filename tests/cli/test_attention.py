"""``headway attention``: a page or a picture where it was asked for, and errors in a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from headway import InputError
from headway.cli.main import headway
from headway.embedded import folder

MODEL = str(folder("fill-mask"))


def call(*arguments: Any) -> Any:
    return CliRunner().invoke(headway, ["attention", MODEL, "Paris is large.", *map(str, arguments)])


@pytest.mark.parametrize(("name", "start"), [("out.html", "<!doctype html>"), ("out.svg", "<svg")])
def test_a_view_is_written_and_its_place_printed(name: str, start: str, tmp_path: Path) -> None:
    done = call("--pair", "Berlin too.", "-o", tmp_path / name)
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / name}\n")
    assert (tmp_path / name).read_text().startswith(start)


def test_one_head_is_chosen(tmp_path: Path) -> None:
    assert call("--layer", 1, "--head", 0, "-o", tmp_path / "out.svg").exit_code == 0
    text = (tmp_path / "out.svg").read_text()
    assert "layer 1, head 0" in text
    assert text.count(">paris</text>") == 2


def test_a_layer_that_is_not_there_writes_nothing(tmp_path: Path) -> None:
    done = call("--layer", 9, "-o", tmp_path / "out.html")
    assert isinstance(done.exception, InputError)
    assert "There is no layer 9" in str(done.exception)
    assert not list(tmp_path.iterdir())
