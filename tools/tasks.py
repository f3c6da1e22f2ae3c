"""Write into ``docs/tasks/`` what the pipelines say of themselves: inputs, answers, options. The rest is by hand.

python tools/tasks.py
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

from headway.embedded import folder
from headway.pipelines.base import Pipeline, pipelines

PAGES = Path(__file__).parents[1] / "docs" / "tasks"
BEGIN, END = "<!-- Made by tools/tasks.py; a test says when it is out of date. -->", "<!-- Made until here. -->"
MADE = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}\n", re.DOTALL)

OPTIONS = """Set for all calls in `pipeline(...)`, or for one in the call. Those with a ● are options of the command
too, with dashes in their names: `--batch-size`."""

INDEX = f"""# Tasks

{BEGIN}

A task is run by `pipeline("TASK")` in Python and by `headway run TASK` in a shell; [Run a task](../pipelines.md) says
what holds for all of them. For those with a ● a small model comes with headway, which runs where none is named.

| task | gives | also called | small model |
|---|---|---|---|
"""


def index() -> str:
    """The page that lists the tasks."""
    rows = [
        f"| [{task}]({task}.md) | {kind.summary} | {_names(kind.aliases)} | {'●' if folder(task) else ''} |"
        for task, kind in pipelines().items()
    ]
    return INDEX + "\n".join(rows) + "\n"


def facts(kind: type[Pipeline]) -> str:
    """What a pipeline says of itself, as the part of its page."""
    lines = [BEGIN, "", "## Inputs and answers", "", _described(kind), ""]
    lines += ["| | |", "|---|---|", f"| model | [`{kind.auto}`](../api/models.md#headway.auto.model.{kind.auto}) |"]
    if kind.aliases:
        lines.append(f"| also called | {_names(kind.aliases)} |")
    small = f"comes with headway: `headway run {kind.task}`" if folder(kind.task) else "none; name one by `--model`"
    lines.append(f"| small model | {small} |")
    files = "line by line" if kind.by_line else "as one text"
    lines.append(f"| files and stdin | read {files} |")
    lines += ["", "## Options", "", OPTIONS]
    lines += ["", "| option | default | in a shell | |", "|---|---|---|---|", *_options(kind), "", END]
    return "\n".join(lines) + "\n"


def _described(kind: type[Pipeline]) -> str:
    """The docstring of a pipeline without its attributes."""
    return inspect.cleandoc(kind.__doc__ or "").partition("\n\nAttributes:")[0].replace("``", "`")


def _options(kind: type[Pipeline]) -> list[str]:
    """The rows of a pipeline's options, its own before those that it shares."""
    fields: dict[str, Any] = {field.name: field for field in dataclasses.fields(kind.Options)}
    depth = {name: _depth(kind.Options, name) for name in fields}
    return [_row(fields[name]) for name in sorted(fields, key=lambda name: depth[name])]


def _depth(options: type, name: str) -> int:
    """How many classes above ``options`` an option comes from."""
    homes = (number for number, kind in enumerate(options.__mro__) if name in inspect.get_annotations(kind))
    return next(homes)


def _row(field: Any) -> str:
    meta = field.metadata
    listed = [choice for choice in meta["choices"] if not re.search(rf"\b{choice}\b", meta["help"])]
    said = meta["help"] + (f": {', '.join(f'`{choice}`' for choice in listed)}" if listed else "")
    mark = "" if meta["kind"] is None else "●"
    return f"| `{field.name}` | `{field.default!r}` | {mark} | {said} |"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def page(kind: type[Pipeline], written: str) -> str:
    """The page of a task, with what was written by hand."""
    made = facts(kind)
    if not written:
        return f"# {kind.task.replace('-', ' ').capitalize()}\n\n{kind.summary.capitalize()}.\n\n{made}"
    return MADE.sub(lambda _: made, written)


def pages() -> dict[Path, str]:
    """Every page as it should be."""
    found = {PAGES / "index.md": index()}
    for task, kind in pipelines().items():
        place = PAGES / f"{task}.md"
        found[place] = page(kind, place.read_text() if place.is_file() else "")
    return found


def stale() -> list[Path]:
    """The pages that are not as they should be."""
    return [place for place, text in pages().items() if not place.is_file() or place.read_text() != text]


if __name__ == "__main__":
    for place, text in pages().items():
        place.write_text(text)
