"""The safetensors format: eight bytes of header length, a JSON header, then the tensors' bytes.

Read here rather than by the safetensors package so that opening a file costs one memory map, names and shapes are
known without touching the data, and a damaged file is told apart from a truncated one.
"""

import json
import math
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from headway.errors import WeightsError
from headway.io.files import damage

_MAX_HEADER = 100_000_000
_KEPT_HEADER = 1_000_000
_LONGEST = 2**63  # beyond it torch's sizes overflow

# The format's names of dtypes, in its own order, and torch's: newer ones are missing in older torch.
_NAMES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "I16": "int16",
    "U16": "uint16",
    "F16": "float16",
    "BF16": "bfloat16",
    "I32": "int32",
    "U32": "uint32",
    "F32": "float32",
    "C64": "complex64",
    "F64": "float64",
    "I64": "int64",
    "U64": "uint64",
}
_DTYPES: dict[str, torch.dtype] = {code: getattr(torch, name) for code, name in _NAMES.items() if hasattr(torch, name)}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_ORDER = {dtype: place for place, dtype in enumerate(_DTYPES.values())}


class Entry(NamedTuple):
    """One tensor of a file: its dtype, its shape, and its bytes ``start`` to ``stop`` counted from the file's start."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


class SafetensorsFile:
    """A memory-mapped safetensors file: names and shapes at once, tensors when they are asked for.

    Raises WeightsError naming the file if it is not a whole, valid safetensors file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = read_header(path)

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
            return torch.empty(entry.shape, dtype=entry.dtype)
        # A storage of its own: torch.save, deepcopy and the search for ties look at whole storages.
        storage = self._storage[entry.start : entry.stop]
        if entry.start % entry.dtype.itemsize:  # the format does not promise alignment, torch's kernels want it
            storage = storage.clone()
        tensor = torch.empty(0, dtype=entry.dtype)
        return tensor.set_(storage, 0, entry.shape)  # type: ignore[call-overload]


def read_header(path: Path) -> Mapping[str, Entry]:
    """Return the tensors that the safetensors file ``path`` holds; WeightsError naming it if it is damaged."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            head = file.read(64)
            if what := damage(head):
                raise WeightsError(f"{path} {what}.")
            length = int.from_bytes(head[:8], "little")
            if length > min(_MAX_HEADER, size - 8):
                raise WeightsError(
                    f"{path} is not a whole safetensors file: its header is said to take {length} bytes, but "
                    f"{max(size - 8, 0)} follow (at most {_MAX_HEADER} are accepted): download or save it again."
                )
            file.seek(8)
            text = file.read(length)
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.") from error
    parse = _parse if length < _KEPT_HEADER else _parse.__wrapped__
    return parse(text, 8 + length, size, path)


@lru_cache(maxsize=8)  # a model is often loaded again in one process
def _parse(text: bytes, start: int, size: int, path: Path) -> Mapping[str, Entry]:
    """Turn the header into entries, each checked on its own and all of them against the file's ``size``."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise WeightsError(f"{path} is not a safetensors file: its header is not valid JSON.") from None
    if not isinstance(header, dict):
        raise WeightsError(f"{path} is not a safetensors file: its header is not a JSON object.")
    header.pop("__metadata__", None)  # free text; some writers leave it out or name another framework
    entries = {name: _entry(name, value, start, path) for name, value in header.items()}
    end = start
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop)):
        if entry.start != end:
            raise WeightsError(f"{path} is damaged: the bytes of {name!r} overlap or leave a gap before them.")
        end = entry.stop
    if end != size:
        state = "truncated" if size < end else "damaged"
        raise WeightsError(f"{path} is {state}: it has {size} bytes where its header expects {end}: download it again.")
    return MappingProxyType(entries)


def _entry(name: str, value: Any, start: int, path: Path) -> Entry:
    match value:
        case {"dtype": str(code), "shape": list(shape), "data_offsets": [begin, end]} if (
            all(type(number) is int and 0 <= number < _LONGEST for number in (*shape, begin, end)) and begin <= end
        ):
            pass
        case _:
            raise WeightsError(f"{path} is damaged: its header does not describe {name!r} by dtype, shape and offsets.")
    if (dtype := _DTYPES.get(code)) is None:
        raise WeightsError(f"{path} holds {name!r} as {code}, which torch {torch.__version__} does not have.")
    # Sizes of dimensions next to a zero are free of the span, but not of torch's arithmetic.
    if math.prod(max(number, 1) for number in shape) * dtype.itemsize >= _LONGEST or len(shape) > 64:
        raise WeightsError(f"{path} is damaged: the shape of {name!r} is impossible.")
    if math.prod(shape) * dtype.itemsize != end - begin:
        raise WeightsError(
            f"{path} is damaged: {name!r} of shape {tuple(shape)} and dtype {code} does not fill its "
            f"{end - begin} bytes."
        )
    return Entry(dtype, tuple(shape), start + begin, start + end)


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
