"""Checkpoints of quantised weights: two open formats are read as the weights they stand for, others are named."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from headway.errors import WeightsError
from headway.io.weights import Weights

_SCALE_ENDS = ("_scale_inv", "_scale")
_CODES = {torch.uint8, torch.int8, torch.int16, torch.int32}
_FP8 = {torch.float8_e4m3fn, torch.float8_e5m2}
_BLOCK = (128, 128)  # of DeepSeek-V3's weights, where the config says nothing

# What a config's quant_method, or the names of tensors, give away.
_METHODS = {
    "gptq": "GPTQ",
    "awq": "AWQ",
    "bitsandbytes": "bitsandbytes",
    "aqlm": "AQLM",
    "hqq": "HQQ",
    "eetq": "EETQ",
    "quanto": "quanto",
    "torchao": "torchao",
    "compressed-tensors": "compressed-tensors",
    "quark": "Quark",
    "auto-round": "AutoRound",
    "vptq": "VPTQ",
    "higgs": "HIGGS",
    "spqr": "SpQR",
    "bitnet": "BitNet",
}
_TELLING = (
    (re.compile(r"\.qweight$"), "GPTQ or AWQ"),
    (re.compile(r"\.(absmax|nested_absmax|quant_map|quant_state\.bitsandbytes__\w+|SCB)$"), "bitsandbytes"),
    (re.compile(r"\.weight_packed$"), "compressed-tensors"),
    (re.compile(r"\.codebooks$"), "AQLM"),
    (re.compile(r"\.W_q$"), "HQQ"),
)


def dequantised(weights: Weights, settings: Any, dtype: torch.dtype | None, checkpoint: str) -> Weights:
    """``weights`` as those that they stand for: FP8 with scales and MXFP4 come as ``dtype``, or else as the others are.

    Args:
        settings: the config's ``quantization_config``, where it has one.

    Raises:
        WeightsError: they are quantised in a way that is not read.
    """
    if not {weights.dtype(name) for name in weights} & (_CODES | _FP8):
        return weights
    pairs = _pairs(weights)
    taken = {name for codes, scales, _ in pairs.values() for name in (codes, scales)}
    values: Mapping[str, Any] = settings if isinstance(settings, Mapping) else {}
    method = _METHODS.get(str(values.get("quant_method")).lower())
    for name in weights:
        found = next((what for pattern, what in _TELLING if pattern.search(name)), None)
        if found is None and method is not None and name not in taken and weights.dtype(name) in _CODES:
            found = method
        if found is not None:
            raise WeightsError(
                f"{checkpoint} holds weights quantised by {method or found} ({name!r}), which headway does not read; "
                "load the checkpoint that they were made from."
            )
    if not pairs:
        return weights
    if dtype is None:
        others = (weights.dtype(name) for name in weights if name not in taken)
        dtype = next((kind for kind in others if kind.is_floating_point and kind.itemsize > 1), torch.bfloat16)
    return Dequantised(weights, pairs, tuple(values.get("weight_block_size") or _BLOCK), dtype)


def _pairs(weights: Weights) -> dict[str, tuple[str, str, bool]]:
    """Names of quantised tensors, to the names of their codes and scales, and whether they are MXFP4."""
    found: dict[str, tuple[str, str, bool]] = {}
    for name in weights:
        if name.endswith("_blocks"):
            scales = name.removesuffix("_blocks") + "_scales"
            if scales in weights and weights.dtype(name) == weights.dtype(scales) == torch.uint8:
                found[name.removesuffix("_blocks")] = (name, scales, True)
        elif weights.dtype(name) in _FP8:
            scale = next((name + end for end in _SCALE_ENDS if name + end in weights), None)
            if scale is not None:
                found[name] = (name, scale, False)
    return found


class Dequantised(Weights):
    """Weights whose quantised tensors are computed when they are asked for, and whose codes and scales do not show."""

    def __init__(
        self,
        weights: Weights,
        pairs: Mapping[str, tuple[str, str, bool]],
        block: tuple[int, ...],
        dtype: torch.dtype,
    ) -> None:
        self.files, self._weights, self._pairs, self._block, self._dtype = weights.files, weights, pairs, block, dtype
        hidden = {name for codes, scales, _ in pairs.values() for name in (codes, scales)}
        extra = {f"{name.removesuffix('weight')}{end}" for name in pairs for end in ("input_scale", "activation_scale")}
        self._names = dict.fromkeys([name for name in weights if name not in hidden | extra] + list(pairs))

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
