"""What is shown of a training while it runs."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from fitting import rows_for, trainer_for
from headway import enable_progress_bar
from headway.errors import MissingExtraError
from headway.training.reporting import Evaluations, TensorBoardCallback


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "runs" / "log.jsonl").read_text().splitlines()]


def test_lines_of_json_tell_what_the_history_tells(tmp_path: Path) -> None:
    trainer = trainer_for(tmp_path, report_to="jsonl", eval_dataset=rows_for(6), eval_strategy="epoch")
    trainer.train()
    assert logged(tmp_path) == trainer.state.log_history
    assert all(entry["samples_per_second"] > 0 for entry in logged(tmp_path) if "loss" in entry)


def test_nobody_watches_and_nothing_is_timed(tmp_path: Path) -> None:
    trainer = trainer_for(tmp_path)
    trainer.train()
    assert not any("samples_per_second" in entry for entry in trainer.state.log_history)


def test_a_log_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    options = {"report_to": "jsonl", "save_strategy": "steps", "save_steps": 4, "logging_steps": 1}
    trainer_for(tmp_path, **options, max_steps=6).train()
    with (tmp_path / "runs" / "log.jsonl").open("a") as file:
        file.write('{"loss": 1')  # the process was killed
    trainer_for(tmp_path, **options, max_steps=8).train(str(tmp_path / "checkpoint-4"))
    assert [entry["step"] for entry in logged(tmp_path) if "loss" in entry] == list(range(1, 9))


def test_the_bar_and_the_table_of_evaluations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("huggingface_hub.utils.tqdm"), "HF_HUB_DISABLE_PROGRESS_BARS", None)
    enable_progress_bar()
    trainer_for(
        tmp_path,
        disable_tqdm=False,
        eval_dataset=rows_for(6),
        eval_strategy="epoch",
        compute_metrics=lambda _: {"x": 2.5},
    ).train()
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line.split() for line in err.replace("\r", "\n").splitlines()]
    assert lines.count(["step", "epoch", "x", "loss"]) == 1
    assert [line[:3] for line in lines if len(line) == 4 and line[2] == "2.5"] == [
        ["6", "1", "2.5"],
        ["12", "2", "2.5"],
    ]
    for word in ("12/12", "loss", "learning_rate", "samples_per_second"):
        assert word in err


def test_a_notebook_shows_one_table_that_grows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown: list[str] = []

    class ZMQInteractiveShell:
        pass

    class Handle:
        def update(self, html: Any) -> None:
            shown.append(html)

    def display(html: Any, display_id: bool) -> Handle:
        shown.append(html)
        return Handle()

    class Module:
        get_ipython = staticmethod(ZMQInteractiveShell)
        HTML = staticmethod(str)

    Module.display = staticmethod(display)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", Module)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "IPython.display", Module)  # type: ignore[arg-type]
    trainer = trainer_for(tmp_path, eval_dataset=rows_for(6))
    table = Evaluations()
    for loss in (0.5, 0.25):
        table.show(trainer.state, {"eval_loss": loss, "eval_runtime": 1.0}, print)
    assert len(shown) == 2
    assert "0.2500" not in shown[0]
    assert "0.5000" in shown[1]
    assert "0.2500" in shown[1]
    assert "runtime" not in shown[1]


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer_for(tmp_path, report_to="tensorboard", eval_dataset=rows_for(6), eval_strategy="epoch").train()
    found = EventAccumulator(str(tmp_path / "runs"))
    found.Reload()
    assert {"train/loss", "train/learning_rate", "eval/loss"} <= set(found.Tags()["scalars"])


def test_tensorboard_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"headway\[tensorboard\]"):
        TensorBoardCallback()
