"""States of optimizers, schedules and generators as JSON and tensors: nothing of a file can run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from headway.errors import CheckpointError
from headway.io.atomic import write_file
from headway.io.safetensors import SafetensorsFile, write_safetensors

_TENSOR, _PAIRS, _TUPLE = "$tensor", "$pairs", "$tuple"


def write_plain(folder: Path, name: str, value: Any) -> None:
    """Write nested dictionaries, lists, tuples, numbers, texts and tensors as ``name.json`` and ``name.safetensors``.

    Raises:
        CheckpointError: there is something else among them.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_taken_apart(value, tensors, name))
    write_file(folder / f"{name}.json", text.encode())
    write_safetensors(folder / f"{name}.safetensors", tensors, {})


def read_plain(folder: Path, name: str) -> Any:
    """What ``write_plain`` wrote, tensors on the CPU; raises ``CheckpointError``."""
    try:
        value = json.loads((folder / f"{name}.json").read_text())
        return _put_together(value, SafetensorsFile(folder / f"{name}.safetensors"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / name}.json is damaged: {error}.") from error


def _taken_apart(value: Any, tensors: dict[str, Tensor], path: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        tensors[path] = value.detach()
        return {_TENSOR: path}
    if isinstance(value, list):
        return [_taken_apart(item, tensors, f"{path}.{index}") for index, item in enumerate(value)]
    if isinstance(value, tuple):
        return {_TUPLE: _taken_apart(list(value), tensors, path)}
    if isinstance(value, Mapping):
        # Keys of JSON are texts; optimizers number their parameters.
        return {_PAIRS: [[key, _taken_apart(item, tensors, f"{path}.{key}")] for key, item in value.items()]}
    raise CheckpointError(
        f"{path} is a {type(value).__name__}, and checkpoints of a training hold numbers, texts, tensors, lists and "
        "dictionaries alone; give its owner a state_dict() of these."
    )


def _put_together(value: Any, tensors: SafetensorsFile) -> Any:
    if isinstance(value, list):
        return [_put_together(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if _TENSOR in value:
        return tensors.tensor(value[_TENSOR]).clone()
    if _TUPLE in value:
        return tuple(_put_together(value[_TUPLE], tensors))
    return {key: _put_together(item, tensors) for key, item in value[_PAIRS]}
