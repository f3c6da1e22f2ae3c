"""The load report: names folded, a table for terminals and notebooks, and the keys that others know."""

import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from headway.io import report as module
from headway.io.report import LoadReport, Mismatch, collapse


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        ([], []),
        (["a.weight"], ["a.weight"]),
        ([f"h.{i}.w" for i in range(12)], ["h.{0..11}.w"]),
        ([f"h.{i}.w" for i in (0, 1, 2, 5, 10, 11)], ["h.{0..2,5,10..11}.w"]),
        (["h.3.w", "h.3.b"], ["h.3.w", "h.3.b"]),
        ([f"l.{i}.e.{j}.w" for i, j in product(range(4), range(8))], ["l.{0..3}.e.{0..7}.w"]),
        (["l.0.e.0", "l.0.e.1", "l.1.e.0"], ["l.{0..1}.e.0", "l.0.e.1"]),
        (["head.w", "h.0.w", "h.0.b", "h.1.w", "h.1.b"], ["head.w", "h.{0..1}.w", "h.{0..1}.b"]),
        (["0.w", "1.w", "10"], ["{0..1}.w", "10"]),
    ],
)
def test_names_are_folded(names: list[str], folded: list[str]) -> None:
    assert collapse(names) == folded


REPORT = LoadReport(
    checkpoint="org/<b>x</b>",
    model="BertForTokenClassification",
    loaded=tuple(f"bert.layer.{i}.w" for i in range(12)),
    new=("classifier.weight", "classifier.bias"),
    left_over=tuple(f"cls.{i}.bias" for i in range(3)),
    ignored=("bert.embeddings.position_ids",),
    mismatched=(Mismatch("score.weight", (5, 8), (3, 8)),),
)


def test_the_table_for_a_terminal() -> None:
    assert str(REPORT).splitlines() == [
        "BertForTokenClassification loaded from org/<b>x</b>: 12 from the checkpoint, 2 new, 1 of another shape, "
        "3 left over.",
        "  new         classifier.weight  not in the checkpoint: initialised",
        "  new         classifier.bias    not in the checkpoint: initialised",
        "  mismatched  score.weight       [5, 8] in the checkpoint, [3, 8] in the model: initialised",
        "  left over   cls.{0..2}.bias    in the checkpoint, not in the model",
    ]


def test_the_table_for_a_notebook_is_escaped() -> None:
    html = REPORT._repr_html_()
    assert html.count("<tr>") == html.count("</tr>") == 4
    assert "<b>" not in html
    assert "org/&lt;b&gt;x&lt;/b&gt;" in html
    assert "<code>cls.{0..2}.bias</code>" in html


def test_clean() -> None:
    assert not REPORT.clean
    clean = LoadReport("x", "M", loaded=("a",), ignored=("b",))
    assert clean.clean
    assert str(clean) == "M loaded from x: 1 from the checkpoint."
    assert not LoadReport("x", "M", new=("a",)).clean
    assert not LoadReport("x", "M", left_over=("a",)).clean
    assert not LoadReport("x", "M", mismatched=(Mismatch("a", (1,), (2,)),)).clean


def test_loading_info_as_others_give_it() -> None:
    assert REPORT.to_dict() == {
        "missing_keys": {"classifier.weight", "classifier.bias"},
        "unexpected_keys": {"cls.0.bias", "cls.1.bias", "cls.2.bias"},
        "mismatched_keys": {("score.weight", (5, 8), (3, 8))},
        "error_msgs": [],
    }


def test_it_needs_no_torch() -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(module.__file__).parents[2])!r}); import headway.io.report"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)
