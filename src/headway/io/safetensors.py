"""The safetensors format: eight bytes of header length, a JSON header, then the tensors' bytes.

Read here rather than by the safetensors package so that opening a file costs one memory map, names and shapes are
known without touching the data, and a damaged file is told apart from a truncated one.
"""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from headway.errors import WeightsError
from headway.io.header import DTYPES, read_header

_DTYPES: dict[str, torch.dtype] = {
    code: getattr(torch, name) for code, (name, _) in DTYPES.items() if hasattr(torch, name)
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_ORDER = {dtype: place for place, dtype in enumerate(_DTYPES.values())}


class SafetensorsFile:
    """A memory-mapped safetensors file: names and shapes at once, tensors when they are asked for.

    Raises WeightsError naming the file if it is not a whole, valid safetensors file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = read_header(path)
        for name, entry in self.entries.items():
            if entry.code not in _DTYPES:
                raise WeightsError(f"{path} holds {name!r} as {entry.code}, which torch {torch.__version__} lacks.")

    @cached_property
    def _storage(self) -> torch.UntypedStorage:
        # A private mapping: pages are read when touched, and copied when written to, so the file never changes.
        try:
            storage = torch.UntypedStorage.from_file(str(self.path), shared=False, nbytes=self.path.stat().st_size)
        except (OSError, RuntimeError) as error:
            raise WeightsError(f"{self.path} cannot be mapped into memory: {error}") from error
        assert isinstance(storage, torch.UntypedStorage)
        return storage

    def tensor(self, name: str) -> torch.Tensor:
        """Return the tensor ``name`` as a view of the mapped file, which may be written to; KeyError if absent."""
        entry = self.entries[name]
        if entry.start == entry.stop:
            return torch.empty(entry.shape, dtype=_DTYPES[entry.code])
        # A storage of its own: torch.save, deepcopy and the search for ties look at whole storages.
        storage = self._storage[entry.start : entry.stop]
        dtype = _DTYPES[entry.code]
        if entry.start % dtype.itemsize:  # the format does not promise alignment, torch's kernels want it
            storage = storage.clone()
        tensor = torch.empty(0, dtype=dtype)
        return tensor.set_(storage, 0, entry.shape)  # type: ignore[call-overload]


def write_safetensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write ``tensors`` to the new file ``path``: the same tensors always give the same bytes.

    Tensors may lie on any device and be views; each is brought to the CPU and made contiguous on its own, so that the
    extra memory is that of one tensor. An existing file is unlinked first and not written to: it may be mapped.
    Raises WeightsError for a tensor without data or of a dtype the format lacks.
    """
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    for name, tensor in tensors.items():
        if tensor.is_meta or tensor.layout is not torch.strided or tensor.dtype not in _CODES:
            raise WeightsError(
                f"The tensor {name!r} ({tensor.dtype}, {tensor.layout}, on {tensor.device}) cannot be saved: "
                "safetensors files hold dense tensors with data."
            )
    # Wide dtypes first, so that every tensor is aligned to its item size.
    names = sorted(tensors, key=lambda name: (-_ORDER[tensors[name].dtype], name))
    end = 0
    for name in names:
        tensor = tensors[name]
        end += tensor.nbytes
        header[name] = {
            "dtype": _CODES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [end - tensor.nbytes, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(_bytes(tensors[name]))


def _bytes(tensor: torch.Tensor) -> Any:
    """Return the tensor's bytes in row-major order as a buffer, without a copy if they lie so on the CPU already."""
    flat = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy()
