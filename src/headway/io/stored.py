"""Which tensors a checkpoint's files hold, by the headers of the files alone."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from headway.errors import WeightsError
from headway.io.files import Start, read_object
from headway.io.header import FIRST, Entry, header_of
from headway.io.source import Source

_AT_ONCE = 8


@dataclass(frozen=True)
class Stored:
    """The weights of a checkpoint.

    ``entries`` is None where only reading the files whole would tell: a pickle has no header.
    """

    files: tuple[str, ...]
    entries: Mapping[str, Entry] | None


def stored_in(source: Source, *, variant: str | None = None, name: str | None = None) -> Stored | None:
    """Say what the weights of ``source`` are, of which no more than headers is read; None where there are none.

    ``variant`` and ``name`` are as in ``open_weights``. Raises WeightsError naming the file that is missing or damaged.
    """
    for file in weights_names(source, variant, name):
        if file.endswith(".json"):
            if (index := source.find(file)) is not None:
                return _sharded(source, index)
        elif (first := source.start_of(file, FIRST)) is not None:
            return Stored((file,), _entries(source, file, first))
    return None


def _entries(source: Source, file: str, first: Start) -> Mapping[str, Entry] | None:
    def start(count: int) -> Start:
        return source.start_of(file, count) or first

    return header_of(f"{file} of {source.name!r}", first, start) if file.endswith(".safetensors") else None


def _sharded(source: Source, index: Path) -> Stored:
    places = shards_of(index)
    files = tuple(sorted(set(places.values())))
    if not files[0].endswith(".safetensors"):
        return Stored(files, None)

    def entries(file: str) -> Mapping[str, Entry]:
        if (first := source.start_of(file, FIRST)) is None:
            raise missing_shard(source, index, file)
        return _entries(source, file, first) or {}

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = dict(zip(files, pool.map(entries, files), strict=True))
    home = {name: entry for held in found.values() for name, entry in held.items()}
    return Stored(files, home | {name: found[file][name] for name, file in places.items() if name in found[file]})


def weights_names(source: Source, variant: str | None, name: str | None) -> tuple[str, ...]:
    """Return the files that may hold the weights of ``source``: safetensors before pickles, one file before shards."""
    if name is not None:
        if not isinstance(name, str):  # it comes from a config
            raise WeightsError(f"transformers_weights of {source.name!r} is {name!r}, but it must name a file.")
        return (name,)
    tag = f".{variant}" if variant else ""
    return (
        f"model{tag}.safetensors",
        f"model.safetensors.index{tag}.json",
        f"pytorch_model{tag}.bin",
        f"pytorch_model.bin.index{tag}.json",
    )


def shards_of(index: Path) -> dict[str, str]:
    """Return the names of tensors in a shard index with the files that hold them; WeightsError if it is broken."""
    places = read_object(index, WeightsError).get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise WeightsError(f"{index} has no weight_map from names of tensors to names of files: download it again.")
    return places


def missing_shard(source: Source, index: Path, shard: str) -> WeightsError:
    """Return the error for a shard that an index names and the checkpoint lacks."""
    return WeightsError(f"The shard {shard!r}, which {index} names, is missing: searched {source.where}.")
