"""What a report is made of: blocks that know how they look in HTML."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.training.metrics.base import share
from headway.training.report.chart import Point, number, scatter

# More classes than this make no matrix that can be read.
MOST_CLASSES = 24
# Characters of a text that are shown.
MOST_CHARACTERS = 600


class Block(ABC):
    """A part of a report, under a heading."""

    title: str
    # May it stand beside others?
    narrow: bool = False

    @abstractmethod
    def html(self) -> str:
        """The block without its heading."""


@dataclass(frozen=True)
class Told:
    """What a model said, and whether it is right."""

    text: str
    right: bool

    def html(self) -> str:
        """The text, with a cross where it is wrong."""
        return escape(self.text) if self.right else f'<span class="hw-bad">✗ {escape(self.text)}</span>'


@dataclass(frozen=True)
class Marked:
    """Words, some of them with a note of what is wrong with them."""

    words: Sequence[tuple[str, str]]

    def html(self) -> str:
        """The words, those with a note marked."""
        return " ".join(
            f"<mark>{escape(word)}<small>{escape(note)}</small></mark>" if note else escape(word)
            for word, note in self.words
        )


@dataclass(frozen=True)
class Table(Block):
    """Rows of cells under names: numbers to the right, texts shortened."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    narrow: bool = False

    def html(self) -> str:
        columns = [column([row[at] for row in self.rows]) for at in range(len(self.columns))]
        classes = [' class="hw-number"' if numeric else "" for numeric, _ in columns]
        head = "".join(
            f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(self.columns, classes, strict=True)
        )
        lines = zip(*(cells for _, cells in columns), strict=True)
        body = "".join(
            f"<tr>{''.join(f'<td{kind}>{text}</td>' for text, kind in zip(line, classes, strict=True))}</tr>"
            for line in lines
        )
        return noted(self.note) + scrolled(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


@dataclass(frozen=True)
class Facts(Block):
    """Names and what they stand for."""

    title: str
    facts: Mapping[str, Any]

    def html(self) -> str:
        return (
            '<dl class="hw-facts">'
            + "".join(f"<div><dt>{escape(name)}</dt><dd>{cell(value)}</dd></div>" for name, value in self.facts.items())
            + "</dl>"
        )


@dataclass(frozen=True)
class Points(Block):
    """True numbers and those that the model told."""

    title: str
    points: Sequence[Point]

    def html(self) -> str:
        return f'<div class="hw-charts">{scatter("Predicted over true", self.points, "true", "predicted")}</div>'


@dataclass(frozen=True)
class Confusion(Block):
    """How often a class (row) was taken for another (column); ``counts [classes, classes]``."""

    title: str
    names: Sequence[str]
    counts: NDArray[np.int64]
    narrow: bool = True

    def html(self) -> str:
        return self._matrix() if len(self.names) <= MOST_CLASSES else self._pairs()

    def _matrix(self) -> str:
        totals = self.counts.sum(1)
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in self.names)
        body = "".join(
            f'<tr><th scope="row">{escape(name)}</th>'
            f"{''.join(self._cell(row, column, totals[row]) for column in range(len(self.names)))}</tr>"
            for row, name in enumerate(self.names)
        )
        return noted("Rows are the true classes, columns what the model said; shades are shares of a row.") + scrolled(
            f'<table class="hw-confusion"><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>'
        )

    def _cell(self, row: int, column: int, total: int) -> str:
        count = int(self.counts[row, column])
        part = share(count, int(total))
        kind = "hw-right" if row == column else "hw-wrong"
        said = f"{self.names[row]} taken for {self.names[column]}: {count} of {int(total)}"
        inside = f"<b>{count:,}</b><small>{part:.0%}</small>" if count else '<span class="hw-none">0</span>'
        return f'<td class="{kind}" style="--share:{part:.3f}" title="{escape(said)}">{inside}</td>'

    def _pairs(self) -> str:
        wrong = self.counts.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CLASSES]
        rows = [
            (self.names[row], self.names[column], int(wrong[row, column]))
            for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True)
            if wrong[row, column]
        ]
        note = f"There are {len(self.names)} classes; these pairs were confused most often."
        return Table(self.title, ("true", "predicted", "rows"), rows, note).html()


def per_class(names: Sequence[str], counts: NDArray[np.int64]) -> Table:
    """Precision, recall and F1 of each class, from a matrix as ``Confusion`` shows it."""
    right, true, said = counts.diagonal(), counts.sum(1), counts.sum(0)
    rows = [
        (name, *scores(int(right[at]), int(said[at]), int(true[at])), int(true[at])) for at, name in enumerate(names)
    ]
    return Table("Classes", ("class", "precision", "recall", "F1", "rows"), rows, narrow=True)


def scores(right: int, said: int, true: int) -> tuple[float, float, float]:
    """Precision, recall and F1."""
    return share(right, said), share(right, true), share(2 * right, said + true)


def cell(value: Any) -> str:
    """A value in HTML."""
    if isinstance(value, Marked | Told):
        return value.html()
    if isinstance(value, bool) or value is None:
        return escape(str(value))
    if isinstance(value, int | float):
        return number(value) if math.isfinite(value) else escape("–" if math.isnan(value) else str(value))
    text = str(value)
    short = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
    return escape(short)


def column(values: Sequence[Any]) -> tuple[bool, list[str]]:
    """Is a column one of numbers, and its cells in HTML: those of one column have equally many decimals."""
    numeric = bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    sizes = [abs(value) for value in values if math.isfinite(value)] if numeric else []
    if all(size == int(size) for size in sizes) or max(sizes) >= 1000:
        return numeric, [cell(value) for value in values]
    decimals = 4 if max(sizes) < 10 else 2
    return True, [f"{value:.{decimals}f}" if math.isfinite(value) else cell(value) for value in values]


def noted(text: str) -> str:
    """A remark above what it is about."""
    return f'<p class="hw-note">{escape(text)}</p>' if text else ""


def scrolled(table: str) -> str:
    """A table that may be wider than the page; the keyboard reaches it too."""
    return f'<div class="hw-scroll" tabindex="0">{table}</div>'
