"""What the header of a safetensors file says: names, dtypes and shapes, and where the bytes of each tensor lie.

A header is read without torch and without touching the tensors, of a file or of the first bytes of one elsewhere.
"""

import json
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from headway.errors import WeightsError
from headway.io.files import Start, damage, read_start

if TYPE_CHECKING:
    import torch

FIRST = 100_000
_MAX_HEADER = 100_000_000
_KEPT_HEADER = 1_000_000
_LONGEST = 2**63  # beyond it torch's sizes overflow

# The format's codes of dtypes, in its own order: torch's names, of which newer ones are missing in older torch, and the
# bytes of one number.
DTYPES = {
    "BOOL": ("bool", 1),
    "U8": ("uint8", 1),
    "I8": ("int8", 1),
    "F8_E5M2": ("float8_e5m2", 1),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E8M0": ("float8_e8m0fnu", 1),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 1),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", 1),
    "I16": ("int16", 2),
    "U16": ("uint16", 2),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "I32": ("int32", 4),
    "U32": ("uint32", 4),
    "F32": ("float32", 4),
    "C64": ("complex64", 8),
    "F64": ("float64", 8),
    "I64": ("int64", 8),
    "U64": ("uint64", 8),
}


class Entry(NamedTuple):
    """One tensor of a file: its dtype, its shape, and its bytes ``start`` to ``stop`` counted from the file's start."""

    code: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def kind(self) -> str:
        """The dtype's name."""
        return DTYPES[self.code][0]

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self.stop - self.start

    @property
    def dtype(self) -> "torch.dtype":
        """The dtype."""
        import torch

        found: torch.dtype = getattr(torch, self.kind)
        return found


def read_header(path: Path) -> Mapping[str, Entry]:
    """Return the tensors that the safetensors file ``path`` holds; WeightsError naming it if it is damaged."""

    def start(count: int) -> Start:
        try:
            return read_start(path, count)
        except OSError as error:
            raise WeightsError(f"{path} cannot be read: {error.strerror}.") from error

    return header_of(str(path), start(FIRST), start)


def header_of(name: str, first: Start, start: Callable[[int], Start]) -> Mapping[str, Entry]:
    """Return the tensors of the safetensors file ``name``.

    ``first`` are its first ``FIRST`` bytes, which hold most headers; ``start`` gives as many as it is asked for. Raises
    WeightsError if the file is damaged.
    """
    data, size = first
    if what := damage(data[:64]):
        raise WeightsError(f"{name} {what}.")
    length = int.from_bytes(data[:8], "little")
    if length > min(_MAX_HEADER, size - 8):
        raise WeightsError(
            f"{name} is not a whole safetensors file: its header is said to take {length} bytes, but "
            f"{max(size - 8, 0)} follow (at most {_MAX_HEADER} are accepted): download or save it again."
        )
    if length > len(data) - 8:
        data, _ = start(8 + length)
    parse = _parse if length < _KEPT_HEADER else _parse.__wrapped__
    return parse(data[8 : 8 + length], 8 + length, size, name)


@lru_cache(maxsize=8)  # a model is often loaded again in one process
def _parse(text: bytes, start: int, size: int, path: str) -> Mapping[str, Entry]:
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


def _entry(name: str, value: Any, start: int, path: str) -> Entry:
    match value:
        case {"dtype": str(code), "shape": list(shape), "data_offsets": [begin, end]} if (
            all(type(number) is int and 0 <= number < _LONGEST for number in (*shape, begin, end)) and begin <= end
        ):
            pass
        case _:
            raise WeightsError(f"{path} is damaged: its header does not describe {name!r} by dtype, shape and offsets.")
    if code not in DTYPES:
        raise WeightsError(f"{path} holds {name!r} as {code}, a dtype that is not known.")
    width = DTYPES[code][1]
    # Sizes of dimensions next to a zero are free of the span, but not of torch's arithmetic.
    if math.prod(max(number, 1) for number in shape) * width >= _LONGEST or len(shape) > 64:
        raise WeightsError(f"{path} is damaged: the shape of {name!r} is impossible.")
    if math.prod(shape) * width != end - begin:
        raise WeightsError(
            f"{path} is damaged: {name!r} of shape {tuple(shape)} and dtype {code} does not fill its "
            f"{end - begin} bytes."
        )
    return Entry(code, tuple(shape), start + begin, start + end)
