"""``headway train``: files and flags, what is printed where, and how it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import headway
from headway.cli.main import main
from jobs import CASES, checkpoint, written

QUICK = ["--max-steps", "2", "--batch-size", "4", "--use-cpu", "--eval-strategy", "no"]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call ``headway train`` in a folder with a small model ``start`` and ``rows.jsonl``."""
    checkpoint(tmp_path / "start", CASES["text-classification"])
    written(tmp_path / "rows.jsonl", CASES["text-classification"].rows)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["train", *arguments])
        return int(left.value.code or 0), *capsys.readouterr()

    return run


DATA = ["--model", "start", "--train", "rows.jsonl"]


def test_flags(call: Any) -> None:
    code, out, err = call("text-classification", *DATA, "-o", "out", *QUICK, "--lr", "1e-3", "--label-column", "label")
    assert code == 0, err
    assert "2 of 20 rows of rows.jsonl are held out" in err
    assert "'label'" in err
    for word in ("accuracy", "f1", "out/README.md", "out/report.html"):
        assert word in out
    assert headway.pipeline("text-classification", "out")("A text.")[0]["label"] in ("yes", "no")
    assert json.loads(Path("out/log.jsonl").read_text().splitlines()[0])["learning_rate"] == 1e-3


def test_a_file_of_settings_and_flags_before_it(call: Any) -> None:
    Path("job.yaml").write_text(
        "task: text-classification\nmodel: start\ntrain: rows.jsonl\neval: rows.jsonl\noutput_dir: out\n"
        "max_steps: 7\nbatch_size: 4\nuse_cpu: true\neval_strategy: 'no'\n"
    )
    code, out, err = call("job.yaml", "--max-steps", "1", "--per-device-train-batch-size", "2", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["report"] == "out/report.html"
    assert found["metrics"]["eval_accuracy"] >= 0
    assert json.loads(Path("out/trainer_state.json").read_text())["global_step"] == 1


def test_resuming(call: Any) -> None:
    arguments = [*DATA, "-o", "out", *QUICK, "--save-strategy", "steps", "--save-steps", "1", "--logging-steps", "1"]
    assert call("text-classification", *arguments)[0] == 0
    code, _, err = call("text-classification", *arguments, "--max-steps", "3", "--resume")
    assert code == 0, err
    steps = [json.loads(line) for line in Path("out/log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in steps if "loss" in entry] == [1, 2, 3]


def test_an_adapter(call: Any) -> None:
    """It alone is trained and saved, beside rounded weights too, and knows labels that its base model does not."""
    rows = [{"text": f"A {word} film.", "label": word} for word in ("good", "bad", "odd") * 6]
    written(Path("three.jsonl"), rows)
    adapter = ["--lora", "4", "--lora-alpha", "16", "--target-modules", "all-linear", "--quantize", "int8"]
    data = ["--model", "start", "--train", "three.jsonl", "-o", "out"]
    code, _, err = call("text-classification", *data, *QUICK, "--save-steps", "1", "--save-strategy", "steps", *adapter)
    assert code == 0, err
    assert not list(Path("out").rglob("model.safetensors"))
    config = json.loads(Path("out/adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["task_type"]) == (4, 16, "SEQ_CLS")
    assert config["modules_to_save"] == ["classifier"]
    assert "LoRA of rank 4, beside weights in int8" in Path("out/README.md").read_text()
    assert headway.pipeline("text-classification", "out")("A good film.")[0]["label"] in ("good", "bad", "odd")
    code, _, err = call("text-classification", *data, *QUICK[2:], "--max-steps", "3", "--resume", *adapter)
    assert code == 0, err
    assert json.loads(Path("out/trainer_state.json").read_text())["global_step"] == 3


def test_an_adapter_from_a_file(call: Any) -> None:
    Path("job.yaml").write_text(
        "task: text-classification\nmodel: start\ntrain: rows.jsonl\noutput_dir: out\nmax_steps: 1\nuse_cpu: true\n"
        "lora: 2\nuse_dora: true\ntarget_modules: [query, value]\n"
    )
    code, _, err = call("job.yaml", "--lora", "3")
    assert code == 0, err
    config = json.loads(Path("out/adapter_config.json").read_text())
    assert (config["r"], config["use_dora"], config["target_modules"]) == (3, True, ["query", "value"])


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["text-classification", *DATA, "--quantize", "int8"], 1, "lora=8"),
        (["text-classification", *DATA, "--lora", "2", "--target-modules", "quary"], 1, "Did you mean 'query'?"),
        (["text-classificaton"], 2, "Did you mean 'text-classification'?"),
        (["text-classification", "--train", "rows.jsonl"], 2, "--model"),
        (["text-classification", *DATA, "--learnin-rate", "1"], 2, "--learning-rate"),
        (["text-classification", *DATA, "--text-column", "txet"], 1, "Did you mean 'text'?"),
        (["text-classification", *DATA, "--lr", "-1"], 1, "learning_rate"),
        (["text-classification", "--model", "nowhere/", "--train", "rows.jsonl"], 1, "nowhere"),
        (["nowhere.yaml"], 1, "nowhere.yaml"),
        (["wrong.yaml"], 1, "Did you mean 'learning_rate'?"),
        (["empty.yaml"], 1, "settings"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(call: Any, arguments: list[str], code: int, word: str) -> None:
    Path("wrong.yaml").write_text("task: ner\nmodel: start\ntrain: rows.jsonl\nlearningrate: 1\n")
    Path("empty.yaml").write_text("")
    left, out, err = call(*arguments)
    assert (left, out) == (code, "")
    assert word in err
    assert "Traceback" not in err
    assert not Path("out").exists()


def test_help_names_what_a_task_takes(call: Any) -> None:
    code, out, _ = call("translation", "--help")
    assert code == 0
    for flag in ("--source-column", "--tgt-lang", "--lr", "--batch-size", "--max-target-length"):
        assert flag in out
    assert "question-answering" in call("--help")[1]
