"""Trainings from files: every task from rows to a model with its card and report."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

import headway
from headway.embedded import folder
from headway.errors import ConfigError, InputError
from headway.training.job import TrainJob
from headway.training.tasks import tasks
from jobs import CASES, checkpoint, reviews, written
from small import one_sentence, small_model

QUICK = {
    "max_steps": 2,
    "per_device_train_batch_size": 4,
    "use_cpu": True,
    "eval_strategy": "no",
    "save_strategy": "no",
}


def job(path: Path, task: str, rows: Any = None, **settings: Any) -> TrainJob:
    """A job of the small model of a task."""
    case = CASES[task]
    data = written(path / "rows.jsonl", case.rows if rows is None else rows)
    given = {**QUICK, **case.settings, **settings}
    return TrainJob.of(
        task=task,
        **{"model": str(checkpoint(path / "start", case)), "train": data, "output_dir": str(path / "out"), **given},
    )


def test_every_task_is_tried_here() -> None:
    assert set(CASES) | {"image-classification"} == set(tasks())


@pytest.mark.parametrize("task", CASES)
def test_each_task_ends_with_a_model_that_its_card_can_use(
    tmp_path: Path, task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = job(tmp_path, task, **({} if task == "fill-mask" else {"eval_share": 0.3})).run()
    assert math.isfinite(trained.metrics[f"eval_{CASES[task].metric}"])
    assert trained.metrics == json.loads((trained.folder / "results.json").read_text())
    auto = getattr(headway, tasks()[task].auto)
    assert auto.from_pretrained(trained.folder).load_report.clean
    page, card = trained.report_path.read_text(), trained.card_path.read_text()
    assert CASES[task].metric in page
    assert CASES[task].metric in card
    exec(card.split("```python\n")[1].split("```")[0], {})
    assert capsys.readouterr().out


def test_images_in_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        place = tmp_path / "images" / ["cat", "dog"][number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (30 * number, 0, 255 * (number % 2))).save(place / f"{number}.png")
    small_model("vit", "image-classification").save_pretrained(tmp_path / "start")
    headway.ImageProcessor(size=8).save_pretrained(tmp_path / "start")
    trained = TrainJob.of(
        task="image-classification",
        model=str(tmp_path / "start"),
        train=str(tmp_path / "images"),
        output_dir=str(tmp_path / "out"),
        **QUICK,
    ).run()
    assert 0 <= trained.metrics["eval_accuracy"] <= 1
    assert trained.trainer.model.config.id2label == {0: "cat", 1: "dog"}
    assert "images/" in trained.report_path.read_text()
    Image.new("RGB", (9, 7)).save(tmp_path / "image.png")
    monkeypatch.chdir(tmp_path)
    exec(trained.card_path.read_text().split("```python\n")[1].split("```")[0], {})


# --- labels -------------------------------------------------------------------------------------------------------


def test_a_trained_head_learns_what_words_tell(tmp_path: Path) -> None:
    many = {"max_steps": -1, "epochs": 6, "lr": "1e-3", "eval_strategy": "epoch", "save_strategy": "no"}
    trained = job(tmp_path, "text-classification", reviews(30), model=str(folder("text-classification")), **many).run()
    assert trained.metrics["eval_accuracy"] == 1
    assert {"eval_accuracy", "eval_f1"} <= trained.trainer.state.log_history[-2].keys()


@pytest.mark.parametrize(
    ("labels", "problem", "names"),
    [
        ([["a", "b"], ["b"], []], "multi_label_classification", ["a", "b"]),
        (["0.5", "1", "2.25"], "regression", None),
        (["10", "9", "x"], "single_label_classification", ["9", "10", "x"]),
        ([1, 0, 2], "single_label_classification", ["0", "1", "2"]),
    ],
)
def test_problems_are_told_by_the_labels(tmp_path: Path, labels: list[Any], problem: str, names: Any) -> None:
    rows = [{"sentence": f"row {at}", "label": labels[at % 3]} for at in range(12)]
    trained = job(tmp_path, "text-classification", rows).run()
    config = trained.trainer.model.config
    assert config.problem_type == problem
    assert names is None or [config.label(number) for number in range(config.num_labels)] == names
    assert math.isfinite(trained.metrics["eval_loss"])


def test_labels_that_a_checkpoint_knows_keep_its_head(tmp_path: Path) -> None:
    rows = [{"text": f"row {at}", "label": ["POSITIVE", "NEGATIVE"][at % 2]} for at in range(8)]
    ready = job(tmp_path, "text-classification", rows, model=str(folder("text-classification"))).prepare()
    assert ready.trainer.model.load_report.clean
    assert ready.trainer.train_dataset[0]["labels"] == 1


def test_pairs_of_texts_and_labels_with_a_separator(tmp_path: Path) -> None:
    rows = [{"premise": "a", "hypothesis": f"b {at}", "label": "x; y" if at % 2 else "x"} for at in range(8)]
    ready = job(tmp_path, "text-classification", rows, separator=";").prepare()
    assert ready.task.columns == {"text": "premise", "text_pair": "hypothesis", "label": "label"}
    assert {tuple(row["labels"]) for row in ready.trainer.train_dataset} == {(1.0, 1.0), (1.0, 0.0)}
    assert 1 in ready.trainer.train_dataset[0]["token_type_ids"]


def test_words_carry_their_tags_at_their_first_token(tmp_path: Path) -> None:
    rows = [{"words": ["Wolfgangus", "ok"], "tags": ["B-PER", "O"]}] * 4
    ready = job(tmp_path, "token-classification", rows).prepare()
    row, config = ready.trainer.train_dataset[0], ready.trainer.model.config
    assert config.id2label[0] == "O"
    assert [label for label in row["labels"] if label != -100] == [1, 0]
    assert len(row["labels"]) == len(row["input_ids"]) > 4


# --- questions ----------------------------------------------------------------------------------------------------


def test_long_contexts_are_read_in_windows_that_know_their_answers(tmp_path: Path) -> None:
    context = "word " * 40 + "Berlin is it " + "word " * 20
    rows = [{"question": "where?", "context": context, "answer": "Berlin"}] * 4
    ready = job(tmp_path, "question-answering", rows, max_length=32).prepare()
    windows = [one for one in ready.trainer.eval_dataset if one["row"] == 0]
    assert len(windows) > 2
    for window in windows:
        start, end = window["start_positions"], window["end_positions"]
        found = context[window["offsets"][start][0] : window["offsets"][end][1]] if start else ""
        assert found == ("Berlin" if start else "")
        assert bool(start) == ("Berlin is" in context[slice(*span(window))])
    assert any(window["start_positions"] for window in windows)


def span(window: Any) -> tuple[int, int]:
    """The characters that a window holds."""
    inside = [offset for offset in window["offsets"] if offset]
    return inside[0][0], inside[-1][1]


def test_a_trained_reader_answers(tmp_path: Path) -> None:
    rows = [{"question": "Where does Wolfgang live?", "context": "Wolfgang lives in Berlin.", "answer": "Berlin"}] * 6
    trained = job(tmp_path, "question-answering", rows, model=str(folder("question-answering")), lr=1e-9).run()
    assert trained.metrics["eval_exact_match"] == 100
    assert "Berlin" in trained.report_path.read_text()


def test_prompts_are_no_labels(tmp_path: Path) -> None:
    rows = [{"prompt": "say it", "completion": "good"}] * 4
    row = job(tmp_path, "text-generation", rows).prepare().trainer.train_dataset[0]
    prompt = row["labels"].count(-100)
    assert 0 < prompt < len(row["labels"])
    assert row["labels"][prompt:] == row["input_ids"][prompt:]


def test_packed_texts_fill_rows(tmp_path: Path) -> None:
    dataset = job(tmp_path, "text-generation", pack=True, max_length=16).prepare().trainer.train_dataset
    assert {len(row["input_ids"]) for row in dataset[:-1]} == {16}


# --- what is said -------------------------------------------------------------------------------------------------


def test_settings_of_a_file(tmp_path: Path) -> None:
    data = written(tmp_path / "rows.jsonl", reviews())
    path = tmp_path / "job.yaml"
    path.write_text(f"task: text-classification\nmodel: x\ntrain: {data}\nlr: 5e-5\nbatch-size: 2\ntext_column: text\n")
    found = TrainJob.read(path, epochs=1)
    assert found.arguments == {"learning_rate": 5e-5, "per_device_train_batch_size": 2, "num_train_epochs": 1}
    assert found.columns == {"text": "text"}


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"learnin_rate": 1}, "learning_rate"),
        ({"text_colum": "a"}, "text_column"),
        ({"push_to_hub": True}, "upload"),
        ({"learning_rate": "fast"}, "number"),
        ({"text_column": "txet"}, "'text'"),
        ({"train": "nowhere.csv"}, "nowhere.csv"),
        ({"eval_share": 2}, "eval_share"),
        ({"problem": "other"}, "single"),
        ({"lr": 1, "learning_rate": 1}, "same"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(tmp_path: Path, settings: dict[str, Any], word: str) -> None:
    with pytest.raises((ConfigError, InputError)) as error:
        job(tmp_path, "text-classification", **settings).prepare()
    assert word in one_sentence(error.value)


def test_a_column_that_cannot_be_guessed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--text-column") as error:
        job(tmp_path, "text-classification", [{"a": "x", "label": "y"}, {"a": "x", "label": "z"}]).prepare()
    assert "a, label" in one_sentence(error.value)


def test_a_label_that_was_not_trained_on(tmp_path: Path) -> None:
    other = written(tmp_path / "eval.jsonl", [{"text": "x", "label": "yess"}])
    with pytest.raises(InputError, match="Did you mean 'yes'"):
        job(tmp_path, "text-classification", eval=other).prepare()


def test_resuming_goes_on(tmp_path: Path) -> None:
    job(tmp_path, "text-classification", save_strategy="steps", save_steps=1, logging_steps=1).run()
    trained = job(
        tmp_path, "text-classification", save_strategy="steps", save_steps=1, logging_steps=1, max_steps=3
    ).run(resume=True)
    assert trained.trainer.state.global_step == 3
    logged = [json.loads(line) for line in (trained.folder / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in logged if "loss" in entry] == [1, 2, 3]


def test_the_card_has_what_the_hub_reads(tmp_path: Path) -> None:
    card = job(tmp_path, "text-classification").run().card_path.read_text()
    head = yaml.safe_load(card.split("---\n")[1])
    result = head["model-index"][0]["results"][0]
    assert (head["library_name"], head["pipeline_tag"]) == ("headway", "text-classification")
    assert {metric["type"] for metric in result["metrics"]} >= {"accuracy", "f1", "loss"}
    assert result["dataset"]["name"] == "rows"
    assert "base_model" not in head  # a folder is none that the hub knows
