"""Kernels for weights of whole numbers: the order in which each reads them, and whether a device has it.

All are torch's own. torchao's layers call the same ones, and cost seconds to import.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# Inputs that share a scale and a zero in 4 bits; a layer whose inputs are no multiple of it takes 8 bits.
GROUP = 32
# The 4-bit kernels work row by row: above so many rows the weights are brought back once for all of them.
_FEW_ROWS = 64
# Outputs that lie together in ``BlockedInt4``'s order, half of them in the lower four bits.
_BLOCK = 64
# Outputs of which ``TiledInt4`` needs a multiple.
_TILE = 8
# Weights that a CPU brings back at a time: memory for more comes anew from the system, and costs more than they do.
_FLOATS = 1 << 21
# Rows of the identity that are multiplied at a time to have numbers back.
_PART = 1024


class Kernel:
    """A product with numbers that lie in an order of its own.

    ``tensors`` are those of a quantised layer, as they are saved; ``packed`` is what ``pack`` made of them.
    """

    def works_on(self, device: torch.device) -> bool:
        """Does ``device`` have the kernel, and does it give what is expected there?"""
        raise NotImplementedError

    def pack(self, tensors: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """The numbers in the kernel's order."""
        raise NotImplementedError

    def unpack(self, packed: tuple[Tensor, ...], outputs: int) -> dict[str, Tensor]:
        """The inverse of ``pack``, to the bit."""
        raise NotImplementedError

    def product(self, x: Tensor, packed: tuple[Tensor, ...], bias: Tensor | None, outputs: int) -> Tensor:
        """``x [rows, in] @ weight.T + bias``, ``[rows, outputs]`` in the dtype of ``x``."""
        raise NotImplementedError


class OneDnnInt8(Kernel):
    """8 bits on a CPU; inputs are rounded to 8 bits as well, each row with a scale of its own."""

    def works_on(self, device: torch.device) -> bool:
        return device.type == "cpu" and _int8_works()

    def pack(self, tensors: dict[str, Tensor]) -> tuple[Tensor, ...]:
        weight, scale = (tensor.contiguous() for tensor in tensors.values())  # a file's layout may be another
        zero = torch.zeros(len(weight), dtype=torch.int32)
        return torch.ops.onednn.qlinear_prepack(weight, None), scale, zero

    def unpack(self, packed: tuple[Tensor, ...], outputs: int) -> dict[str, Tensor]:
        return {"weight": packed[0].to_dense().t().contiguous(), "weight_scale": packed[1]}

    def product(self, x: Tensor, packed: tuple[Tensor, ...], bias: Tensor | None, outputs: int) -> Tensor:
        numbers, scale, zero = packed
        dtype, x = x.dtype, x.float()
        row = torch.linalg.vector_norm(x, float("inf"), -1, keepdim=True).div_(127).clamp_(min=1e-30)
        rounded = (x / row).round_().to(torch.int8)
        few = 256 // outputs + 1  # for 256 results and fewer the library takes its slowest way
        if len(x) < few:
            rounded = F.pad(rounded, (0, 0, 0, few - len(x)))
        out = torch.ops.onednn.qlinear_pointwise(
            rounded, 1.0, 0, numbers, scale, zero, None, 1.0, 0, torch.float32, "none", [], ""
        )
        out = out[: len(x)]
        out = out.mul_(row) if bias is None else torch.addcmul(bias.to(out.dtype), out, row)
        return out.to(dtype)


class BlockedInt4(Kernel):
    """4 bits on a CPU with AVX-512."""

    def works_on(self, device: torch.device) -> bool:
        return device.type == "cpu" and _int4_works(self, device)

    def pack(self, tensors: dict[str, Tensor]) -> tuple[Tensor, ...]:
        short = -len(tensors["weight"]) % _BLOCK
        return _to_blocks(numbers_of(_padded(tensors["weight"], short))), _pairs(tensors, short)

    def unpack(self, packed: tuple[Tensor, ...], outputs: int) -> dict[str, Tensor]:
        return _as_saved(_from_blocks(packed[0]).t()[:outputs], packed[1], outputs)

    def product(self, x: Tensor, packed: tuple[Tensor, ...], bias: Tensor | None, outputs: int) -> Tensor:
        blocks, pairs = packed
        if len(x) <= _FEW_ROWS:
            out = torch.ops.aten._weight_int4pack_mm_for_cpu(x.bfloat16(), blocks, GROUP, pairs).to(x.dtype)
        else:
            rows = max(1, _FLOATS // (2 * _BLOCK * blocks.shape[1])) * _BLOCK
            parts = zip(blocks.split(rows), pairs.split(rows, 1), strict=True)
            out = torch.cat([x @ _floats(_from_blocks(part), own, x.dtype) for part, own in parts], -1)
        return _finished(out, bias, outputs)


class TiledInt4(Kernel):
    """4 bits on a GPU with tensor cores for bfloat16."""

    def works_on(self, device: torch.device) -> bool:
        return device.type == "cuda" and _int4_works(self, device)

    def pack(self, tensors: dict[str, Tensor]) -> tuple[Tensor, ...]:
        short = -len(tensors["weight"]) % _TILE
        weight = _padded(tensors["weight"], short)
        inner = next(tiles for tiles in (8, 4, 2) if 2 * weight.shape[1] % (16 * tiles) == 0)
        # The kernel has the first of two numbers in the upper half of a byte.
        tiled = torch.ops.aten._convert_weight_to_int4pack((weight << 4 | weight >> 4).contiguous(), inner)
        return tiled, _pairs(tensors, short)

    def unpack(self, packed: tuple[Tensor, ...], outputs: int) -> dict[str, Tensor]:
        tiled, pairs = packed
        return _as_saved(self._numbers(tiled, pairs).t()[:outputs].to(torch.uint8).contiguous(), pairs, outputs)

    def product(self, x: Tensor, packed: tuple[Tensor, ...], bias: Tensor | None, outputs: int) -> Tensor:
        tiled, pairs = packed
        if len(x) <= _FEW_ROWS:
            out = torch.ops.aten._weight_int4pack_mm(x.bfloat16(), tiled, GROUP, pairs).to(x.dtype)
        else:
            out = x @ _floats(self._numbers(tiled, pairs), pairs, x.dtype)
        return _finished(out, bias, outputs)

    def _numbers(self, tiled: Tensor, pairs: Tensor) -> Tensor:
        """The numbers ``[in, out]``: what the kernel makes of the identity, where each stands for itself."""
        inputs = len(pairs) * GROUP
        plain = pairs.new_tensor((1.0, 8.0)).expand_as(pairs).contiguous()
        found = []
        for part in torch.arange(inputs, device=pairs.device).split(_PART):
            rows = F.one_hot(part, inputs).to(pairs.dtype)
            found.append(torch.ops.aten._weight_int4pack_mm(rows, tiled, GROUP, plain))
        return torch.cat(found)


def numbers_of(bytes_: Tensor) -> Tensor:
    """Each number of two in a byte, uint8."""
    return torch.stack((bytes_ & 15, bytes_ >> 4), -1).flatten(-2)


def _padded(tensor: Tensor, short: int) -> Tensor:
    return F.pad(tensor, (0, 0, 0, short))


def _pairs(tensors: dict[str, Tensor], short: int) -> Tensor:
    """Scale and zero of each group, ``[in / GROUP, out, 2]``."""
    found = [_padded(tensors[name], short).t() for name in ("weight_scale", "weight_zero")]
    return torch.stack(found, -1).contiguous()


def _as_saved(numbers: Tensor, pairs: Tensor, outputs: int) -> dict[str, Tensor]:
    """A layer's tensors of its numbers ``[outputs, in]`` and of ``_pairs``."""
    scale, zero = pairs.transpose(0, 1)[:outputs].unbind(-1)
    weight = numbers[:, ::2] | numbers[:, 1::2] << 4
    return {"weight": weight, "weight_scale": scale.contiguous(), "weight_zero": zero.contiguous()}


def _floats(numbers: Tensor, pairs: Tensor, dtype: torch.dtype) -> Tensor:
    """What ``numbers [in, out]`` stand for."""
    scale, zero = (part.contiguous() for part in pairs[:, None].to(dtype).unbind(-1))
    return torch.addcmul(zero - 8 * scale, numbers.to(dtype).unflatten(0, (-1, GROUP)), scale).flatten(0, 1)


def _finished(out: Tensor, bias: Tensor | None, outputs: int) -> Tensor:
    out = out[:, :outputs]
    return out.contiguous() if bias is None else out + bias


def _to_blocks(numbers: Tensor) -> Tensor:
    """4-bit numbers ``[out, in]`` in ``BlockedInt4``'s order, ``[out, in / 2]`` bytes: blocks of outputs, by inputs."""
    low, high = numbers.unflatten(0, (-1, 2, _BLOCK // 2)).unbind(1)
    return (low | high << 4).transpose(1, 2).contiguous().view(numbers.shape[0], -1)


def _from_blocks(blocks: Tensor) -> Tensor:
    """The numbers of ``_to_blocks`` the other way round, ``[in, out]``."""
    by_input = blocks.view(-1, 2 * blocks.shape[1], _BLOCK // 2).transpose(0, 1)
    return torch.stack((by_input & 15, by_input >> 4), 2).flatten(1)


@cache
def _int8_works() -> bool:
    weight = torch.arange(-96, 96, dtype=torch.int8).reshape(12, 16)
    # The largest of a row is 127, so that rounding changes nothing.
    x = F.pad(weight[:2, 1:] + 1, (1, 0), value=127).float()
    return _gives(OneDnnInt8(), {"weight": weight, "weight_scale": torch.ones(12)}, x, x @ weight.t().float())


@cache
def _int4_works(kernel: Kernel, device: torch.device) -> bool:
    numbers = (torch.arange(2 * _BLOCK * GROUP) * 7 // 5 % 16).to(torch.uint8).view(_BLOCK, 2 * GROUP)
    ones = torch.ones(_BLOCK, 2, dtype=torch.bfloat16)
    x = torch.arange(-GROUP, GROUP).bfloat16()[None]
    tensors = {
        "weight": numbers[:, ::2] | numbers[:, 1::2] << 4,
        "weight_scale": ones,
        "weight_zero": torch.zeros_like(ones),
    }
    expected = (x.float() @ (numbers.float() - 8).t()).bfloat16()
    on = {name: tensor.to(device) for name, tensor in tensors.items()}
    return _gives(kernel, on, x.to(device), expected.to(device))


def _gives(kernel: Kernel, tensors: dict[str, Tensor], x: Tensor, expected: Tensor) -> bool:
    """Does ``kernel`` come to ``expected`` from ``x``, and give the numbers back?"""
    outputs = len(tensors["weight"])
    try:
        with torch.inference_mode(False), torch.no_grad():
            packed = kernel.pack(tensors)
            found: Any = kernel.product(x, packed, None, outputs)
            back = kernel.unpack(packed, outputs)
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return torch.equal(found, expected) and all(torch.equal(back[name], tensor) for name, tensor in tensors.items())
