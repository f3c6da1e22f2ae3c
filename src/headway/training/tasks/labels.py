"""Labels of files: what kind they are, and their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headway.errors import InputError, did_you_mean


def names_of(values: Iterable[Any]) -> list[str]:
    """The names of all labels among ``values``, in order: numbers by size, texts by the alphabet."""
    names = {str(value) for value in values}
    return sorted(names, key=lambda name: (0, float(name), name) if is_number(name) else (1, 0.0, name))


def is_number(text: str) -> bool:
    """Is ``text`` a number?"""
    try:
        float(text)
    except ValueError:
        return False
    return True


def label_settings(names: Sequence[str], config: Any) -> dict[str, Any]:
    """Arguments of ``from_pretrained`` for a head that tells ``names`` apart.

    A checkpoint that knows all of them by name keeps its numbers, and with them its head.
    """
    known = config.id2label or {}
    if set(names) <= set(known.values()):
        return {}
    by_number = dict(enumerate(names))
    return {
        "id2label": by_number,
        "label2id": {name: number for number, name in by_number.items()},
        "ignore_mismatched_sizes": True,
    }


def numbered(values: Iterable[Any], known: Mapping[str, int]) -> list[int]:
    """The numbers of labels; raises ``InputError`` where one is unknown."""
    found = []
    for value in values:
        if str(value) not in known:
            shown = ", ".join(list(known)[:20])
            raise InputError(
                f"The label {str(value)!r} is not among those to train on: {shown}.{did_you_mean(str(value), known)}"
            )
        found.append(known[str(value)])
    return found


def numbers_by_name(config: Any) -> dict[str, int]:
    """The numbers of a model's labels, by name."""
    return {config.label(number): number for number in range(config.num_labels)}


def label_names(config: Any) -> list[str]:
    """The names of a model's labels, by number."""
    return [config.label(number) for number in range(config.num_labels)]
