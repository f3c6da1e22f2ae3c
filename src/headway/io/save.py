"""Writing the weights of a checkpoint: one safetensors file, or shards with an index."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import torch

from headway.errors import CheckpointError, InputError
from headway.io.atomic import write_file
from headway.io.safetensors import write_safetensors

_UNITS = {"": 1, "B": 1, **{f"{unit}B": 1000**power for power, unit in enumerate("KMGT", 1)}}
_UNITS |= {f"{unit}IB": 1024**power for power, unit in enumerate("KMGT", 1)}
_WEIGHTS = re.compile(r"(model|pytorch_model)(-\d+-of-\d+)?\.(safetensors|bin)(\.index\.json)?")
_METADATA = {"format": "pt"}


def save_weights(
    tensors: Mapping[str, torch.Tensor],
    folder: Path,
    *,
    max_shard_size: int | str = "50GB",
    metadata: Mapping[str, str] = _METADATA,
) -> None:
    """Write ``tensors`` to ``folder`` in the hub's layout, and remove the weight files that it held before.

    ``max_shard_size`` is a number of bytes or a text such as ``"5GB"``; weights beyond it are cut into shards with an
    index. Tensors may be views and lie on any device; those that share their memory are written once each, so pass
    one of them. The same tensors always give the same bytes. For a save that a crash cannot halve, pass a folder from
    ``atomic_folder``. Tensors read from the same folder may be saved to it: files are unlinked, never written into.

    Raises InputError for a size that is none, WeightsError for a tensor that cannot be saved, and CheckpointError if
    the folder cannot be written to.
    """
    shards = _split(tensors, _bytes_of(max_shard_size))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if len(shards) == 1:
            names = ["model.safetensors"]
        else:
            names = [f"model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)]
        for name, shard in zip(names, shards, strict=True):
            write_safetensors(folder / name, {key: tensors[key] for key in shard}, metadata)
        written = set(names)
        if len(shards) > 1:
            total = sum(tensor.nbytes for tensor in tensors.values())
            places = {key: name for name, shard in zip(names, shards, strict=True) for key in shard}
            index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
            write_file(folder / "model.safetensors.index.json", (json.dumps(index, indent=2) + "\n").encode())
            written.add("model.safetensors.index.json")
        for path in folder.iterdir():
            if _WEIGHTS.fullmatch(path.name) and path.name not in written:
                path.unlink()
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be written to: {error.strerror}.") from error


def _split(tensors: Mapping[str, torch.Tensor], limit: int) -> list[list[str]]:
    """Cut the sorted names into runs of at most ``limit`` bytes; a larger tensor has a run of its own."""
    shards: list[list[str]] = [[]]
    room = limit
    for name in sorted(tensors):
        size = tensors[name].nbytes
        if size > room and shards[-1]:
            shards.append([])
            room = limit
        shards[-1].append(name)
        room -= size
    return shards


def _bytes_of(size: int | str) -> int:
    match = re.fullmatch(r"\s*(\d+|\d+\.\d+(?=.*B))\s*([KMGT]I?B|B?)\s*", str(size).upper())
    if match is None or (count := int(float(match[1]) * _UNITS[match[2]])) < 1:
        raise InputError(
            f"max_shard_size={size!r} is no size: give a number of bytes, or a text such as '5GB' or '500MB'."
        )
    return count
