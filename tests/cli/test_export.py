"""``headway export``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headway.cli.main import main
from small import small_checkpoint


def test_a_checkpoint_is_exported_with_the_head_that_it_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = small_checkpoint(tmp_path / "model", "distilbert", "token-classification")
    with pytest.raises(SystemExit) as left:
        main(["export", str(checkpoint), "-o", str(tmp_path / "out"), "--json"])
    out, err = capsys.readouterr()
    assert (left.value.code, err) == (0, "")
    found = json.loads(out)
    assert found["difference"] < 1e-5
    (graph,) = found["graphs"]
    assert list(graph["outputs"]) == ["logits"]
    assert Path(graph["path"]).exists()


def test_an_unknown_head_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = small_checkpoint(tmp_path / "model", "distilbert")
    with pytest.raises(SystemExit) as left:
        main(["export", str(checkpoint), "-o", str(tmp_path / "out"), "--task", "mask-lm"])
    assert left.value.code == 1
    assert "Did you mean 'masked-lm'?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
