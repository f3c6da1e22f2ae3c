"""Results for people and for programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click


def as_json(value: Any, *, indent: bool = False) -> str:
    """``value`` as one JSON document, on one line unless ``indent``."""
    return json.dumps(value, ensure_ascii=False, indent=2 if indent else None)


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as aligned columns under their names; numbers to the right, long texts shortened to the terminal.

    Texts of several lines, where there is nothing beside them, stay as they are.
    """
    rows = list(rows)
    if not rows:
        return "nothing found"
    names = list(dict.fromkeys(name for row in rows for name in row))
    if len(names) == 1 and any("\n" in str(row.get(names[0])) for row in rows):
        return "\n".join([bold(names[0]), *(str(row.get(names[0], "")) for row in rows)])
    cells = [[_cell(row.get(name, "")) for name in names] for row in rows]
    widths = [max(len(line[place]) for line in (names, *cells)) for place in range(len(names))]
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns - 2 * (len(widths) - 1)
        while sum(widths) > room and max(widths) > 12:
            widths[widths.index(max(widths))] -= 1
    numeric = [all(isinstance(row.get(name, 0), int | float) for row in rows) for name in names]
    lines = [_line(names, widths, numeric), *(_line(line, widths, numeric) for line in cells)]
    return "\n".join([bold(lines[0]), *lines[1:]])


def bold(text: str) -> str:
    """``text`` in bold type on a terminal that has it, unless NO_COLOR is set."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return text if plain else click.style(text, bold=True)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return " ".join(str(value).split())


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    parts = []
    for cell, width, right in zip(cells, widths, numeric, strict=True):
        short = cell if len(cell) <= width else textwrap.shorten(cell, width, placeholder="...") or cell[:width]
        parts.append(short.rjust(width) if right else short.ljust(width))
    return "  ".join(parts).rstrip()
