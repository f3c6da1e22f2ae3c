"""The page of a training: whole by itself, safe with any text, and right in its numbers."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fitting import rows_for, trainer_for
from headway.training.report import TrainReport
from headway.training.report.blocks import Confusion, Marked, Table, per_class
from headway.training.report.chart import Line, chart, scatter
from headway.training.report.looks import Classes, Numbers, Several, Tags, Tokens

HOSTILE = "</style><script>alert('x')</script>&amp;"
VOID = {"meta"}


class Balance(HTMLParser):
    """Every element is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def report(tmp_path: Path) -> TrainReport:
    trainer = trainer_for(tmp_path, eval_dataset=rows_for(10), eval_strategy="epoch", report_to="jsonl")
    trainer.train()
    return TrainReport.of(trainer, shown=lambda row: f"{HOSTILE} {row}")


def test_a_page_is_whole_by_itself(report: TrainReport, tmp_path: Path) -> None:
    page = report.save(tmp_path / "new" / "report.html").read_text()
    seen = Balance(page).seen
    assert seen.count("svg") == 4  # loss, learning rate, norm, speed
    assert not {"script", "link", "img", "iframe"} & set(seen)
    assert not re.search(r"(src|href)=|url\(|@import|https?:", page)
    assert "prefers-color-scheme: dark" in page
    assert page.count('role="img" aria-label="') == 4


def test_texts_stay_texts(report: TrainReport) -> None:
    assert "<script>" not in report._repr_html_()
    assert "&lt;script&gt;" in report._repr_html_()


def test_what_was_trained_is_said(report: TrainReport) -> None:
    assert report.facts["model"] == "BertForSequenceClassification"
    assert report.facts["trained on"] == "22 rows"
    assert report.arguments == {
        "per_device_train_batch_size": 4,
        "num_train_epochs": 2,
        "learning_rate": 5e-3,
        "seed": 42,
        "use_cpu": True,
    }
    assert "eval_loss" in report.metrics
    assert report.lead.startswith("12 steps, 2 epochs, in ")


def test_looking_changes_nothing(tmp_path: Path) -> None:
    trainer = trainer_for(tmp_path, eval_dataset=rows_for(10))
    assert TrainReport.of(trainer).lead == "Not trained yet."
    trainer.train()
    before = len(trainer.state.log_history)
    assert TrainReport.of(trainer).metrics == pytest.approx(trainer.evaluate(), rel=1e-6, abs=1e9)
    assert len(trainer.state.log_history) == before + 1  # evaluate's own


def test_a_training_without_evaluation_has_a_page(tmp_path: Path) -> None:
    trainer = trainer_for(tmp_path)
    trainer.train()
    page = TrainReport.of(trainer)._repr_html_()
    assert "Loss" in page
    assert "Evaluations" not in page


# --- what is seen -------------------------------------------------------------------------------------------------


def test_classes_against_counting_by_hand() -> None:
    look = Classes(["a", "b", "c"])
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]]))
    look.take(logits[:2], np.array([0, 0]))
    look.take((logits[2:], None), np.array([0, -100]))
    confusion, classes, worst = look.blocks(lambda row: f"row {row}")
    assert isinstance(confusion, Confusion)
    assert confusion.counts.tolist() == [[2, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert isinstance(classes, Table)
    assert classes.rows[0] == ("a", 1.0, 2 / 3, 0.8, 3)
    assert isinstance(worst, Table)
    assert [row[0] for row in worst.rows] == ["row 1", "row 2", "row 0"]
    assert worst.rows[0][-1] == pytest.approx(-math.log(0.1))


def test_labels_of_any_number() -> None:
    look = Several(["a", "b"])
    look.take(np.array([[2.0, -1.0], [-3.0, -3.0]]), np.array([[1.0, 1.0], [0.0, 0.0]]))
    labels, worst = look.blocks(str)
    assert isinstance(labels, Table)
    assert isinstance(worst, Table)
    assert labels.rows == [("a", 1.0, 1.0, 1.0, 1), ("b", 0.0, 0.0, 0.0, 1)]
    assert worst.rows[0][:2] == ("0", "a, b")
    assert worst.rows[1][1] == "none"


def test_numbers_that_are_furthest_off() -> None:
    look = Numbers()
    look.take(np.array([[1.0], [5.0]]), np.array([1.5, 2.0]))
    points, worst = look.blocks(str)
    assert "circle" in points.html()
    assert isinstance(worst, Table)
    assert worst.rows == [("1", 2.0, 5.0, 3.0), ("0", 1.5, 1.0, 0.5)]


def test_wrong_tags_are_marked() -> None:
    look = Tags({0: "O", 1: "B-PER"})
    scores = np.array([[[9.0, 0], [9.0, 0], [0, 9.0], [0, 9.0]]])
    look.take(scores, np.array([[-100, 0, 0, 1]]))
    types, worst = look.blocks(lambda row: ["the", "<old>", "Ann"])
    assert isinstance(types, Table)
    assert types.rows == [("PER", 0.5, 1.0, pytest.approx(2 / 3))]
    assert "<mark>&lt;old&gt;<small>B-PER → O</small></mark> Ann" in worst.html()


def test_hardest_tokens() -> None:
    look = Tokens()
    look.take((np.array([[1.0, 3.0], [9.0, 1.0]]), np.array([[0, 1], [-1, 1]])), None)
    (block,) = look.blocks(str)
    assert isinstance(block, Table)
    assert block.rows == [("0", 2, 2.0), ("1", 1, 1.0)]


# --- how it looks -------------------------------------------------------------------------------------------------


def test_many_classes_are_shown_by_their_worst_pairs() -> None:
    counts = np.eye(50, dtype=np.int64)
    counts[3, 7] = 9
    html = Confusion("Confusion", [f"class {at}" for at in range(50)], counts).html()
    assert html.index("class 3") < html.index("class 7") < html.index("9")
    assert "50 classes" in html
    assert len(per_class([str(at) for at in range(50)], counts).rows) == 50


@pytest.mark.parametrize(
    "values",
    [[1.0], [0.0, 0.0], [1e-9, 2e-9], [-3.0, 4.0], [math.nan, 1.0, math.inf], [1e30, 1.0], list(range(5000))],
)
def test_curves_of_any_numbers_stay_in_their_frame(values: list[float]) -> None:
    html = chart("Loss", [Line("training", list(enumerate(values)))])
    Balance(html)
    places = [float(text) for text in re.findall(r"[ML](-?[\d.]+) -?[\d.]+", html)]
    heights = [float(text) for text in re.findall(r"[ML]-?[\d.]+ (-?[\d.]+)", html)]
    assert all(0 <= place <= 520 for place in places)
    assert all(0 <= height <= 230 for height in heights)
    assert html.count("<text") >= 3


def test_nothing_to_draw_is_nothing() -> None:
    assert chart("Loss", [Line("training", [])]) == ""
    assert chart("Loss", [Line("training", [(0, math.nan)])]) == ""
    assert scatter("Numbers", [], "true", "told") == ""


def test_numbers_of_a_column_have_equally_many_decimals() -> None:
    html = Table("Scores", ("name", "score", "rows"), [("a", 0.5, 1000), ("b", math.nan, 2)]).html()
    assert re.findall(r"<td[^>]*>([^<]*)</td>", html) == ["a", "0.5000", "1,000", "b", "–", "2"]
    assert Marked([("<b>", "")]).html() == "&lt;b&gt;"
