"""Rows of numbers as padded lists, NumPy arrays or torch tensors; torch is imported only if it is asked for."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from headway.errors import InputError
from headway.tokenization.options import Side

_ALIASES = {"pt": "pt", "torch": "pt", "pytorch": "pt", "np": "np", "numpy": "np"}


def tensor_kind(kind: object) -> str | None:
    """Return "pt", "np" or None for the argument ``return_tensors``; InputError for any other."""
    if kind is None:
        return None
    name = str(getattr(kind, "value", kind))
    if name not in _ALIASES:
        raise InputError(f"return_tensors={name!r} is not supported: there are 'pt' (torch) and 'np' (NumPy).")
    return _ALIASES[name]


def pad_rows(rows: Sequence[list[Any]], width: int, fill: object, side: Side) -> list[list[Any]]:
    """Return the rows, each filled up to ``width`` on ``side``; longer rows stay as they are."""
    if side == "right":
        return [row + [fill] * (width - len(row)) for row in rows]
    return [[fill] * (width - len(row)) + row for row in rows]


def real_columns(lengths: Sequence[int], width: int, side: Side) -> np.ndarray[Any, Any]:
    """Return a bool array [rows, width] that is True where a row of that length has a value."""
    columns, sizes = np.arange(width), np.asarray(lengths, dtype=np.int64)[:, None]
    return columns < sizes if side == "right" else columns >= width - sizes


def pad_array(
    rows: Sequence[list[Any]], real: np.ndarray[Any, Any], fill: int | tuple[int, int]
) -> np.ndarray[Any, Any]:
    """Return an int64 array of the shape of ``real`` with the rows where it is True and ``fill`` elsewhere.

    With a pair as ``fill`` the rows are of pairs, and the array has a last dimension of 2.
    """
    if len(rows) == 1 and real.shape[1] == len(rows[0]) > 0:
        return np.array(rows, dtype=np.int64)
    flat = chain.from_iterable(rows)
    if isinstance(fill, tuple):
        pairs = np.fromiter(chain.from_iterable(flat), dtype=np.int64).reshape(-1, 2)
        array = np.empty((*real.shape, 2), dtype=np.int64)
        array[:] = fill
        array[real] = pairs
        return array
    array = np.full(real.shape, fill, dtype=np.int64)
    array[real] = np.fromiter(flat, dtype=np.int64)
    return array


def to_tensor(name: str, value: Any, kind: str) -> Any:
    """Return nested lists, an array or a tensor as a NumPy array or torch tensor; InputError if it is ragged."""
    try:
        if kind == "pt":
            return _to_torch(value)
        return np.asarray([np.asarray(row) for row in value] if _is_rows(value) else value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{name!r} makes no tensor ({error}): if its rows have different lengths, pass padding=True, and "
            "truncation=True if they may be too long."
        ) from error


def _to_torch(value: Any) -> Any:
    import torch

    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, torch.Tensor):
        return value
    if _is_rows(value):
        return torch.stack([torch.as_tensor(row) for row in value])
    return torch.tensor(value)


def _is_rows(value: Any) -> bool:
    """Whether ``value`` is a list of arrays or tensors."""
    return isinstance(value, list | tuple) and bool(value) and hasattr(value[0], "tolist")


def to_list(value: Any) -> Any:
    """Return arrays and tensors, and lists and tuples of them, as nested lists; anything else as it is."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list | tuple) and value and not isinstance(value[0], int | str):
        return [to_list(item) for item in value]
    return value
