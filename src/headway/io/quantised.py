"""Checkpoints of quantised weights: two open formats are read as the weights they stand for, others are named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from headway.errors import WeightsError
from headway.io.packed import CODES, FP8, Pair, beside, pairs, unread
from headway.io.weights import Weights

_BLOCK = (128, 128)  # of DeepSeek-V3's weights, where the config says nothing


def dequantised(weights: Weights, settings: Any, dtype: torch.dtype | None, checkpoint: str) -> Weights:
    """``weights`` as those that they stand for: FP8 with scales and MXFP4 come as ``dtype``, or else as the others are.

    Args:
        settings: the config's ``quantization_config``, where it has one.

    Raises:
        WeightsError: they are quantised in a way that is not read.
    """
    kinds = {name: str(weights.dtype(name)).removeprefix("torch.") for name in weights}
    if not (CODES | FP8).intersection(kinds.values()):
        return weights
    found = pairs(kinds)
    if what := unread(kinds, settings, found):
        raise WeightsError(
            f"{checkpoint} holds weights quantised by {what[0]} ({what[1]!r}), which headway does not read; "
            "load the checkpoint that they were made from."
        )
    if not found:
        return weights
    if dtype is None:
        taken = beside(found)
        others = (weights.dtype(name) for name in weights if name not in taken)
        dtype = next((kind for kind in others if kind.is_floating_point and kind.itemsize > 1), torch.bfloat16)
    block = settings.get("weight_block_size") if isinstance(settings, Mapping) else None
    return Dequantised(weights, found, tuple(block or _BLOCK), dtype)


class Dequantised(Weights):
    """Weights whose quantised tensors are computed when they are asked for, and whose codes and scales do not show."""

    def __init__(
        self,
        weights: Weights,
        pairs: Mapping[str, Pair],
        block: tuple[int, ...],
        dtype: torch.dtype,
    ) -> None:
        self.files, self._weights, self._pairs, self._block, self._dtype = weights.files, weights, pairs, block, dtype
        hidden = beside(pairs)
        self._names = dict.fromkeys([name for name in weights if name not in hidden] + list(pairs))

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._pairs:
            return self._weights[name]
        codes, scales, is_mxfp4 = self._pairs[name]
        if is_mxfp4:
            return from_mxfp4(self._weights[codes], self._weights[scales], self._dtype)
        return from_fp8(self._weights[codes], self._weights[scales], self._block, self._dtype)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self[name].shape) if name in self._pairs else self._weights.shape(name)

    def dtype(self, name: str) -> torch.dtype:
        return self._dtype if name in self._pairs else self._weights.dtype(name)


def from_fp8(codes: Tensor, scale: Tensor, block: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """8-bit floats times their scale, as ``dtype``.

    Args:
        codes: ``[..., out, in]``.
        scale: one number, one a row (``[out]`` or ``[..., out, 1]``), or one a ``block`` of rows and columns.

    Raises:
        WeightsError: the scale fits none of these.
    """
    rows, columns = codes.shape[-2:] if codes.dim() > 1 else (1, codes.shape[-1])
    scale = scale.float()
    if scale.numel() > 1 and codes.dim() > 1:
        if scale.dim() == 1:
            scale = scale[:, None]
        if scale.shape[-2] != rows:
            scale = scale.repeat_interleave(block[0], -2)[..., :rows, :]
        if scale.shape[-1] not in (1, columns):
            scale = scale.repeat_interleave(block[1], -1)[..., :columns]
    try:
        return (codes.float() * scale).to(dtype).reshape(codes.shape)
    except RuntimeError:
        raise WeightsError(
            f"Scales of shape {list(scale.shape)} do not fit FP8 weights of shape {list(codes.shape)} in blocks of "
            f"{list(block)}; see weight_block_size in the config's quantization_config."
        ) from None


def from_mxfp4(blocks: Tensor, scales: Tensor, dtype: torch.dtype) -> Tensor:
    """OCP Microscaling FP4 (v1.0) as ``dtype``, transposed as the unquantised files of its models hold it.

    Args:
        blocks: ``[..., out, groups, 16]`` uint8: 32 numbers of a sign, two bits of exponent and one of mantissa in
            each group, the first of two in the lower half of a byte.
        scales: ``[..., out, groups]`` uint8: the power of two of each group, plus 127.

    Returns:
        ``[..., in, out]``, a view.

    Raises:
        WeightsError: the shapes do not belong together.
    """
    if blocks.shape[:-1] != scales.shape or blocks.dim() < 3:
        raise WeightsError(
            f"MXFP4 scales of shape {list(scales.shape)} do not fit blocks of shape {list(blocks.shape)}."
        )
    positive = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    values = torch.tensor([*positive, *(-value for value in positive)])
    out = torch.empty(*blocks.shape[:-2], blocks.shape[-2] * 2 * blocks.shape[-1], dtype=dtype)
    flat, codes, powers = out.flatten(0, -3) if out.dim() > 2 else out[None], blocks, scales
    codes, powers = codes.reshape(len(flat), -1, *codes.shape[-2:]), powers.reshape(len(flat), -1, powers.shape[-1])
    for expert, code, power in zip(flat, codes, powers, strict=True):  # one at a time bounds the memory beside
        halves = torch.stack((code & 15, code >> 4), -1).flatten(-2).long()
        expert.copy_(torch.ldexp(values[halves], power[..., None].int() - 127).flatten(-2))
    return out.transpose(-1, -2)
