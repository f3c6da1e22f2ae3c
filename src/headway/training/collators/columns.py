"""Examples as columns, and columns as tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from headway.errors import InputError
from headway.tokenization.options import Padding

# What data sets call the labels of an example.
_LABELS = {"label": "labels", "label_ids": "labels"}


def columns_of(features: Sequence[Any]) -> dict[str, list[Any]]:
    """The values of all examples by name; ``label`` and ``label_ids`` are called ``labels``.

    Raises:
        InputError: there are no examples, one is no dictionary, or they have different keys.
    """
    features = list(features)
    if not features or not all(isinstance(row, Mapping) for row in features):
        raise InputError("A data collator takes a list of dictionaries, one for each example.")
    names = features[0].keys()
    for number, row in enumerate(features):
        if row.keys() != names:
            odd = ", ".join(repr(name) for name in sorted(map(str, row.keys() ^ names)))
            raise InputError(f"All examples of a batch have the same keys, but example {number} differs in {odd}.")
    return {_LABELS.get(name, name): [row[name] for row in features] for name in names}


def lengths_of(name: str, rows: Iterable[Any]) -> list[int]:
    """How many values each row of the column ``name`` holds; raises ``InputError`` where one is no list."""
    try:
        return [len(row) for row in rows]
    except TypeError:
        raise InputError(f"The column {name!r} must hold a list of numbers for each example.") from None


def stacked(name: str, values: Sequence[Any]) -> Tensor:
    """A column as a tensor ``[rows, ...]``: whole numbers as int64, others as float32, tensors as they are.

    Raises:
        InputError: the values are no numbers, or of different lengths.
    """
    try:
        if isinstance(values[0], Tensor):
            return torch.stack(list(values))
        if hasattr(values[0], "dtype"):  # NumPy's, which keep their type
            return torch.stack([torch.as_tensor(value) for value in values])
        return torch.tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"The column {name!r} makes no tensor; a batch takes numbers, or lists of numbers that are equally long in "
            "all examples."
        ) from error


def padded(name: str, rows: Sequence[Any], layout: Padding, fill: int) -> Tensor:
    """A column of lists as one tensor ``[rows, width]`` int64, with ``fill`` where a row has no value.

    Raises:
        InputError: a row is no list of whole numbers, or longer than the layout.
    """
    lengths = lengths_of(name, rows)
    width = layout.width(lengths)
    found = torch.full((len(rows), width), fill)
    for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        if length > width:
            raise InputError(f"Example {number} has {length} values in {name!r}, more than the {width} of the batch.")
        try:
            values = torch.as_tensor(row, dtype=torch.int64)
            found[number, slice(length) if layout.side == "right" else slice(width - length, width)] = values
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"The column {name!r} must hold a list of whole numbers for each example, but example {number} does "
                "not."
            ) from error
    return found
