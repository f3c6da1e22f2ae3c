"""Linear layers through oneDNN, their weights in the order that its kernels read.

A product of few rows takes as long as its weight takes to read, and torch's own reads it at a half to two thirds of the
speed of memory: in float32 from three rows on, in bfloat16 always. The layer's parameter stays what it is, a view of
the mapped file, whose pages are let go: whoever reads it has them back from the file. So nothing besides the product
knows of the other order: neither saving, nor gradients, nor moves, and memory holds one of the two.
"""

from __future__ import annotations

import ctypes
import sys
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

# Rows from which on the other order is the faster one, and the calls with so many, one after the other, until weights
# are brought into it: in float32 a prompt may be followed by single rows, for which the usual order is as good.
LEAST_ROWS = {torch.float32: 3, torch.bfloat16: 1}
PATIENCE = {torch.float32: 2, torch.bfloat16: 1}
# Numbers of a weight below which a call costs more than it saves.
LEAST_NUMBERS = 1 << 18
# Bytes that are brought into the other order at a time, and so held twice for a moment.
PART = 32 << 20

_PAGE_OUT = 21  # MADV_PAGEOUT: memory is taken back, its content is kept
_PAGE = 4096


class Packed:
    """The product of linear layers over the same input, side by side.

    What a layer computes is what its parameters say: where one is another, elsewhere or changed, this has nothing to
    offer any more.

    Args:
        layers: each with a weight for which ``can_pack`` holds, all of one dtype.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        self.layers = list(layers)
        self.dtype = self.layers[0].weight.dtype
        self._calls = 0
        self._parts: tuple[Tensor, ...] = ()
        self._marks: list[Any] | None = [marks_of(layer.weight) for layer in self.layers]

    def __reduce__(self) -> Any:
        """There is none of a copy, whose weights lie in no file."""
        return (type(None), ())

    def product(self, x: Tensor) -> Tensor | None:
        """``x @ weight.T + bias``, outputs side by side; None where the layers are to compute it themselves."""
        if not self._parts and not self._due(x):
            return None
        if x.dtype is not self.dtype or not self._stands() or is_watched(x):
            return None
        if not self._parts:
            self._pack()
        biases: Any = [layer.bias for layer in self.layers]
        bias = biases[0] if len(biases) == 1 or biases[0] is None else torch.cat(biases)
        if len(self._parts) == 1:
            return _product(x, self._parts[0], bias)
        sizes = [part.shape[0] for part in self._parts]
        split = (None,) * len(sizes) if bias is None else bias.split(sizes)
        return torch.cat([_product(x, part, own) for part, own in zip(self._parts, split, strict=True)], -1)

    def _due(self, x: Tensor) -> bool:
        """Is this the call from which on the other order pays?"""
        if self._marks is None or x.numel() < LEAST_ROWS[self.dtype] * x.shape[-1]:
            self._calls = 0
            return False
        self._calls += 1
        return self._calls >= PATIENCE[self.dtype]

    def _stands(self) -> bool:
        """Are the weights what they were? Else what was made of them goes."""
        if self._marks is not None:
            for layer, marks in zip(self.layers, self._marks, strict=True):
                if not stands(layer._parameters.get("weight"), marks):
                    self._marks, self._parts = None, ()
                    break
        return self._marks is not None

    def _pack(self) -> None:
        weights = [layer.weight.detach() for layer in self.layers]
        found = []
        with torch.inference_mode(False), torch.no_grad():
            joined = weights[0] if len(weights) == 1 and weights[0].is_contiguous() else _in_rows(weights)
            for part in joined.split(max(1, PART // (joined.shape[1] * joined.itemsize))):
                found.append(torch.ops.mkldnn._reorder_linear_weight(part, None))
                let_go(part)
        for weight in weights:
            let_go(weight)
        self._parts = tuple(found)


def _in_rows(weights: list[Tensor]) -> Tensor:
    """``torch.cat`` in memory so large that malloc gives it back, and does not keep it among weights that stay."""
    rows, width = sum(len(weight) for weight in weights), weights[0].shape[1]
    room = weights[0].new_empty(max(rows * width, 2 * PART // weights[0].itemsize))
    return torch.cat(weights, out=room[: rows * width].view(rows, width))


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


def marks_of(weight: Tensor) -> tuple[Any, ...]:
    """What tells whether ``weight`` is still the same: the tensor, its version, its place, and a few numbers of it.

    It is of 16 or 32 bits and on a CPU. Changes through ``weight.data`` leave no trace in the version, but in the
    numbers.
    """
    middle = weight.detach()[weight.shape[0] // 2, :16]
    probe = middle.view(torch.int16 if weight.itemsize == 2 else torch.int32).numpy()
    return weight, weight._version, weight.data_ptr(), probe, probe.tobytes()


def stands(held: Any, marks: tuple[Any, ...]) -> bool:
    """Is ``held`` the weight that ``marks`` are of, and what it was?"""
    weight, version, place, probe, numbers = marks
    return (
        held is weight
        and weight._version == version
        and weight.data_ptr() == place
        and bool(probe.tobytes() == numbers)
    )


def is_watched(x: Tensor) -> bool:
    """Does someone else read along: autocast, a compiler or a tracer?"""
    return (
        type(x) is not Tensor
        or torch.is_autocast_enabled("cpu")
        or torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
    )


@cache
def _kernels() -> frozenset[torch.dtype]:
    """The dtypes of weights that oneDNN has kernels for on this machine."""
    if not sys.platform.startswith("linux") or not torch.backends.mkldnn.is_available():
        return frozenset()
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return frozenset()
    return frozenset(
        (torch.float32, torch.bfloat16) if torch.ops.mkldnn._is_mkldnn_bf16_supported() else (torch.float32,)
    )


class MappedFiles:
    """Where in memory files are mapped at present (Linux; elsewhere nowhere)."""

    def __init__(self) -> None:
        self._starts, self._ends = [], []
        maps = Path("/proc/self/maps")
        for line in maps.read_text().splitlines() if maps.exists() else ():
            addresses, access, _, _, inode = line.split(maxsplit=5)[:5]
            if inode != "0" and access == "rw-p":
                start, end = addresses.split("-")
                self._starts.append(int(start, 16))
                self._ends.append(int(end, 16))

    def can_pack(self, weight: Tensor) -> bool:
        """Is ``weight [out, in]`` large, of a dtype that there are kernels for, and mapped from a file?"""
        if weight.dtype not in _kernels() or weight.numel() < LEAST_NUMBERS or weight.is_inference():
            return False
        at = bisect_right(self._starts, weight.data_ptr()) - 1
        return weight.device.type == "cpu" and at >= 0 and weight.data_ptr() < self._ends[at]


def let_go(weight: Tensor) -> None:
    """Take back the memory of the pages that ``weight`` lies in; they are read anew when they are needed."""
    numbers = 1 + sum((size - 1) * stride for size, stride in zip(weight.shape, weight.stride(), strict=True))
    start = -(-weight.data_ptr() // _PAGE) * _PAGE
    end = (weight.data_ptr() + numbers * weight.itemsize) // _PAGE * _PAGE
    if end > start:
        ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _PAGE_OUT)
