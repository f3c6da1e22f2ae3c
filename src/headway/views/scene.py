"""A static picture as data: tiles and labels at places in pixels, laid out once and drawn as SVG or as PNG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

INK, SOFT, ACCENT = "#1a1d29", "#5b6172", "#4f46e5"
TEXT, SMALL = 11.0, 9.0  # sizes of type
GAP, CELL = 8.0, 18.0
LONGEST = 24  # characters of a label


@dataclass(frozen=True)
class Tiles:
    """Cells of one colour: ``shades [rows, columns]`` from 0, the paper, to 1, the full colour."""

    x: float
    y: float
    width: float  # of one cell
    height: float
    shades: Array


@dataclass(frozen=True)
class Label:
    """A text whose middle line lies at ``y``; ``anchor`` is its "start", "middle" or "end"; ``turned`` runs upward."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    size: float = TEXT
    color: str = INK
    turned: bool = False


@dataclass
class Scene:
    """What is drawn, and how large the paper is."""

    title: str
    width: float = 2 * GAP
    height: float = GAP
    tiles: list[Tiles] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    def heading(self, text: str) -> None:
        """A line of text below all that is there."""
        self.labels.append(Label(GAP, self.height + TEXT, text, size=TEXT + 2))
        self.grow(GAP + width_of([text], TEXT + 2), self.height + 2 * TEXT + GAP)

    def grow(self, right: float, bottom: float) -> None:
        """Make room as far as the corner ``right``, ``bottom``."""
        self.width, self.height = max(self.width, right + GAP), max(self.height, bottom + GAP)

    def table(
        self,
        shades: Array,
        rows: Sequence[str],
        columns: Sequence[str],
        cells: Sequence[Sequence[str]] = (),
    ) -> None:
        """A table below all that is there: names left and above, and texts in the cells where there are any.

        Cells with texts are wide enough for the names above them; over others the names run upward.
        """
        texts = width_of((text for row in cells for text in row), SMALL)
        wide = max(texts, width_of(columns)) + 6 if cells else CELL
        left, top = GAP + width_of(rows) + 6, self.height + (CELL if cells else width_of(columns) + 6)
        self.tiles.append(Tiles(left, top, wide, CELL, shades))
        middle = [top + (row + 0.5) * CELL for row in range(len(rows))]
        across = [left + (column + 0.5) * wide for column in range(len(columns))]
        self.labels += [Label(left - 6, y, cut(text), "end") for y, text in zip(middle, rows, strict=True)]
        for x, text in zip(across, columns, strict=True):
            above = (
                Label(x, top - CELL / 2, cut(text), "middle") if cells else Label(x, top - 6, cut(text), turned=True)
            )
            self.labels.append(above)
        for y, row in zip(middle, cells, strict=False):
            self.labels += [Label(x, y, cut(text), "middle", SMALL) for x, text in zip(across, row, strict=True)]
        self.grow(left + wide * len(columns), top + CELL * len(rows))

    def grid(self, shades: Array, rows: Sequence[str], columns: Sequence[str], size: float = 64.0) -> None:
        """Small maps ``[rows, columns, height, width]`` below all that is there."""
        left, top = GAP + width_of(rows) + 6, self.height + 2 * TEXT
        for row, name in enumerate(rows):
            y = top + row * (size + 4)
            self.labels.append(Label(left - 6, y + size / 2, name, "end", color=SOFT))
            for column in range(len(columns)):
                map = shades[row, column]
                x = left + column * (size + 4)
                self.tiles.append(Tiles(x, y, size / map.shape[1], size / map.shape[0], map))
        for column, name in enumerate(columns):
            self.labels.append(Label(left + column * (size + 4) + size / 2, top - TEXT, name, "middle", color=SOFT))
        self.grow(left + (size + 4) * len(columns), top + (size + 4) * len(rows))


def cut(text: str) -> str:
    """``text``, shortened where it is too long for a label."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def width_of(texts: Iterable[str], size: float = TEXT) -> float:
    """About how much room the longest of ``texts`` takes."""
    return max((len(cut(text)) for text in texts), default=0) * size * 0.6
