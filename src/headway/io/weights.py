"""The tensors of a checkpoint, whatever files hold them: single or sharded, safetensors or pickle."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch

from headway.errors import WeightsError
from headway.io.hub import Source
from headway.io.pickles import read_pickle
from headway.io.safetensors import SafetensorsFile
from headway.io.stored import missing_shard, shards_of, weights_names


class _PickleFile:
    """A ``torch.save`` file with the same face as ``SafetensorsFile``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = read_pickle(path)

    def tensor(self, name: str) -> torch.Tensor:
        return self.entries[name]


_File = SafetensorsFile | _PickleFile


class Weights(Mapping[str, torch.Tensor]):
    """The tensors of a checkpoint by name, read when asked for.

    Tensors are views of a private memory map on the CPU: opening costs no memory, pages are read when touched, and
    writing to a tensor changes neither the file nor what others see of it. ``shape`` and ``dtype`` read no data.
    """

    def __init__(self, home: Mapping[str, _File], files: Iterable[Path]) -> None:
        self.files = tuple(files)
        self._home = home

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._home[name].tensor(name)

    def __contains__(self, name: object) -> bool:
        return name in self._home

    def __iter__(self) -> Iterator[str]:
        return iter(self._home)

    def __len__(self) -> int:
        return len(self._home)

    def __repr__(self) -> str:
        return f"Weights({len(self)} tensors in {', '.join(file.name for file in self.files)})"

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of the tensor ``name``."""
        return tuple(self._home[name].entries[name].shape)

    def dtype(self, name: str) -> torch.dtype:
        """Return the dtype of the tensor ``name``."""
        return self._home[name].entries[name].dtype


def open_weights(source: Source, *, variant: str | None = None, name: str | None = None) -> Weights:
    """Open the weights of ``source``: safetensors before pickles, one file before shards.

    ``variant`` picks files such as ``model.fp16.safetensors``, ``name`` the one file or index of that name. Raises
    WeightsError naming the file that is missing or damaged, and saying what lies there instead.
    """
    names = weights_names(source, variant, name)
    path = source.find(*names)
    if path is None:
        raise WeightsError(
            f"{source.name!r} has no weights: {', '.join(names)} were searched in {source.where}.{_instead(source)}"
        )
    if path.suffix == ".json":
        return _open_shards(source, path)
    file = _open(path)
    return Weights(dict.fromkeys(file.entries, file), [path])


def _open(path: Path) -> _File:
    return SafetensorsFile(path) if path.suffix == ".safetensors" else _PickleFile(path)


def _open_shards(source: Source, index: Path) -> Weights:
    """Open the files that the shard index names, and check that each holds what the index says."""
    places = shards_of(index)
    files: dict[str, _File] = {}
    for shard in sorted(set(places.values())):
        if (path := source.find(shard)) is None:
            raise missing_shard(source, index, shard)
        files[shard] = _open(path)
    for name, shard in places.items():
        if name not in files[shard].entries:
            raise WeightsError(
                f"{files[shard].path} has no tensor {name!r}, though {index} says so: download both again."
            )
    # An index may leave out tied tensors that its shards do hold; where shards disagree, the index decides.
    home = {name: file for file in files.values() for name in file.entries}
    home |= {name: files[shard] for name, shard in places.items()}
    return Weights(home, [file.path for file in files.values()])


# What other programs leave in a checkpoint's folder, and what to do about it.
_OTHERS = (
    (r"adapter_model\.\w+", "an adapter: load its base model and the adapter onto it"),
    (r"consolidated.*", "weights under the names of their makers' own library: take the repo's files for the hub"),
    (r".+\.(h5|ckpt.*)", "TensorFlow weights: convert them to safetensors first"),
    (r".+\.msgpack", "Flax weights: convert them to safetensors first"),
    (r".+\.gguf", "GGUF weights: take the safetensors repo they were made from"),
    (r".+\.onnx", "an ONNX graph: take the safetensors repo it was made from"),
)
_STANDARD = re.compile(
    r"model(\.\w+)?\.safetensors|pytorch_model(\.\w+)?\.bin|(?:model\.safetensors|pytorch_model\.bin)\.index(\.\w+)?\.json"
)


def _instead(source: Source) -> str:
    """Say what the source holds in place of the weights that were searched, as a sentence of its own."""
    files = source.files()
    for name in files:
        if match := _STANDARD.fullmatch(name):
            variant = "".join(filter(None, match.groups())).removeprefix(".")
            return f" There is {name}: pass {f'variant={variant!r}' if variant else 'no variant'}."
    for pattern, advice in _OTHERS:
        if name := next((name for name in files if re.fullmatch(pattern, name)), ""):
            return f" There is {name}, {advice}."
    weights = [name for name in files if name.endswith((".safetensors", ".bin", ".pt", ".pth"))]
    return f" There is {', '.join(weights or files[:8])}." if files else " The folder has no files."
