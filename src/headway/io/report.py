"""What a load did with each tensor, as a table for a terminal or a notebook."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple


class Mismatch(NamedTuple):
    """A parameter whose shape in the checkpoint is not the model's."""

    name: str
    file_shape: tuple[int, ...]
    model_shape: tuple[int, ...]


@dataclass(frozen=True)
class LoadReport:
    """What came from the checkpoint, what is new, and what was left over.

    ``new`` parameters are not in the file and were initialised; ``left_over`` keys of the file were used by nothing;
    ``ignored`` keys are known to be of no use; ``mismatched`` parameters were initialised since their shapes differ.
    """

    checkpoint: str
    model: str
    loaded: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    mismatched: tuple[Mismatch, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether every parameter came from the checkpoint and every key of it was used or is known to be of no use."""
        return not (self.new or self.left_over or self.mismatched)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as ``output_loading_info=True`` is known to give it: three sets and an empty list."""
        return {
            "missing_keys": set(self.new),
            "unexpected_keys": set(self.left_over),
            "mismatched_keys": {tuple(mismatch) for mismatch in self.mismatched},
            "error_msgs": [],
        }

    def __str__(self) -> str:
        rows = self._rows()
        width = max((len(name) for _, name, _ in rows), default=0)
        lines = [f"  {state:<10}  {name:<{width}}  {note}".rstrip() for state, name, note in rows]
        return "\n".join([self._title(), *lines])

    def _repr_html_(self) -> str:
        cells = (
            f"<td>{escape(state)}</td><td><code>{escape(name)}</code></td><td>{escape(note)}</td>"
            for state, name, note in self._rows()
        )
        body = "".join(f"<tr>{cell}</tr>" for cell in cells)
        return f"<table><caption>{escape(self._title())}</caption><tbody>{body}</tbody></table>"

    def _title(self) -> str:
        parts = {
            "from the checkpoint": self.loaded,
            "new": self.new,
            "of another shape": self.mismatched,
            "left over": self.left_over,
        }
        counts = ", ".join(f"{len(names)} {what}" for what, names in parts.items() if names or names is self.loaded)
        return f"{self.model} loaded from {self.checkpoint}: {counts}."

    def _rows(self) -> list[tuple[str, str, str]]:
        """Return state, name and note of all that did not go straight from the checkpoint into the model."""
        shapes = defaultdict(list)
        for name, file_shape, model_shape in self.mismatched:
            shapes[f"{list(file_shape)} in the checkpoint, {list(model_shape)} in the model: initialised"].append(name)
        return [
            *(("new", name, "not in the checkpoint: initialised") for name in collapse(self.new)),
            *(("mismatched", name, note) for note, names in shapes.items() for name in collapse(names)),
            *(("left over", name, "in the checkpoint, not in the model") for name in collapse(self.left_over)),
        ]


def collapse(names: Iterable[str]) -> list[str]:
    """Fold names that differ in numbers alone into one: ``layer.{0..11}.weight``. The order is that of first sight."""
    rows = [tuple(name.split(".")) for name in names]
    for place in range(max(map(len, rows), default=0)):
        groups: dict[tuple[str | None, ...], list[str]] = defaultdict(list)
        for row in rows:
            is_number = place < len(row) and row[place].isdecimal()
            key = (*row[:place], None, *row[place + 1 :]) if is_number else row
            groups[key].append(row[place] if is_number else "")
        rows = [tuple(_span(numbers) if part is None else part for part in key) for key, numbers in groups.items()]
    return [".".join(row) for row in rows]


def _span(numbers: list[str]) -> str:
    """Write numbers as ``7``, ``{0..11}`` or ``{0..3,7}``."""
    if len(numbers) == 1:
        return numbers[0]
    runs: list[list[int]] = []
    for number in sorted(map(int, numbers)):
        if runs and number <= runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return "{" + ",".join(str(low) if low == high else f"{low}..{high}" for low, high in runs) + "}"
