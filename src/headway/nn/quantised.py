"""Linear layers whose weights are whole numbers of 8 or 4 bits.

A layer holds its numbers (``weight``) and scales as they are saved, until it is first run on a CPU: then they are
brought into the order that the kernel reads, and kept in that alone. What is saved, copied or moved is computed back
from it, to the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Inputs that share a scale and a zero in 4 bits; a layer whose inputs are no multiple of it takes 8 bits.
GROUP = 32
# The 4-bit kernel works row by row: above so many rows the weights are brought back once for all of them.
_FEW_ROWS = 80
# Outputs that are rounded to 8 bits at a time.
_PART = 8192
# Outputs that lie together in the 4-bit kernel's order, half of them in the lower four bits.
_BLOCK = 64


class QuantisedLinear(nn.Module):
    """``x @ weight.T + bias``, where whole numbers and scales stand for the weight.

    The weight learns nothing. A gradient reaches the input as if the weight were of floating-point numbers and the
    input had not been rounded.
    """

    # Tensors beside ``weight`` that belong to it; they keep their type, whatever the model's is.
    as_stored: ClassVar[tuple[str, ...]]

    def __init__(self, in_features: int, out_features: int, bias: Tensor | None = None) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=bias.requires_grad)
        self._packed: tuple[Tensor, ...] | None = None
        # The layer that holds this one's numbers among others, and the outputs that are this one's.
        self._part: tuple[QuantisedLinear, slice] | None = None

    # --- for subclasses ---------------------------------------------------------------------------------------------

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None) -> Self:
        """The layer that comes nearest to one of ``weight [out, in]`` and ``bias``."""
        raise NotImplementedError

    @staticmethod
    def has_kernel() -> bool:
        """Has this machine a kernel for such weights?"""
        raise NotImplementedError

    def _pack(self) -> tuple[Tensor, ...]:
        """The weight in the kernel's order."""
        raise NotImplementedError

    def _unpack(self, packed: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """The inverse of ``_pack``, by names of tensors."""
        raise NotImplementedError

    def _product(self, x: Tensor, packed: tuple[Tensor, ...], bias: Tensor | None) -> Tensor:
        """``x [rows, in] @ weight.T + bias`` by the kernel."""
        raise NotImplementedError

    def _floats(self, tensors: dict[str, Tensor]) -> Tensor:
        """The weight that ``tensors`` stand for, float32."""
        raise NotImplementedError

    # --- for all ----------------------------------------------------------------------------------------------------

    def dequantised(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The weight ``[out, in]`` that the numbers stand for."""
        return self._floats(self.tensors()).to(dtype)

    def tensors(self) -> dict[str, Tensor]:
        """The numbers and what belongs to them, as they are saved."""
        if self._part is not None:
            whole, outputs = self._part
            return {name: tensor[outputs].clone() for name, tensor in whole.tensors().items()}
        if self._packed is not None:
            return self._unpack(self._packed)
        return {name: getattr(self, name) for name in ("weight", *self.as_stored)}

    def forward(self, x: Tensor) -> Tensor:
        return self.with_bias(x, self.bias)

    def with_bias(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """The layer with another bias."""
        if torch.is_grad_enabled():
            out: Tensor = _Through.apply(x, bias, self)
            return out
        return self.compute(x, bias)

    def compute(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """The layer without gradients."""
        if self._part is not None:
            self.unpack()
        packed = self._packed
        if packed is None:
            if x.device.type != "cpu" or not self.has_kernel():
                return F.linear(x, self.dequantised(x.dtype), bias)
            packed = self.pack()
        return self._product(x.reshape(-1, self.in_features), packed, bias).view(*x.shape[:-1], self.out_features)

    def pack(self) -> tuple[Tensor, ...]:
        """Bring the weight into the kernel's order and let the other go."""
        with torch.inference_mode(False), torch.no_grad():
            packed = self._packed = self._pack()
        self._let_go()
        return packed

    def unpack(self) -> None:
        """Hold the weight as it is saved."""
        if self._packed is not None or self._part is not None:
            with torch.inference_mode(False):
                self._buffers.update(self.tensors())
            self._packed = self._part = None

    def _let_go(self) -> None:
        for name in ("weight", *self.as_stored):
            self._buffers[name] = None

    @classmethod
    def joined(cls, layers: Sequence[Self]) -> Self:
        """The layer that has the outputs of ``layers`` side by side, packed; they come to be parts of it."""
        with torch.device("meta"):
            whole = cls(layers[0].in_features, sum(layer.out_features for layer in layers))
        with torch.inference_mode(False), torch.no_grad():
            tensors = [layer.tensors() for layer in layers]
            whole._buffers.update({name: torch.cat([one[name] for one in tensors]) for name in tensors[0]})
        whole.pack()
        start = 0
        for layer in layers:
            layer._let_go()
            layer._packed, layer._part = None, (whole, slice(start, start + layer.out_features))
            start += layer.out_features
        return whole

    def is_part_of(self, whole: QuantisedLinear | None) -> bool:
        """Does ``whole`` hold this layer's numbers? None: does no other layer?"""
        return whole is None if self._part is None else self._part[0] is whole

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name, tensor in self.tensors().items():
            destination[prefix + name] = tensor

    def _load_from_state_dict(self, *args: Any) -> None:
        self.unpack()
        super()._load_from_state_dict(*args)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self.unpack()
        before = {name: getattr(self, name) for name in self.as_stored}
        super()._apply(fn, recurse)
        for name, tensor in before.items():
            if getattr(self, name).dtype != tensor.dtype:
                self._buffers[name] = tensor.to(getattr(self, name).device)
        return self

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles are made of: no kernel's own order."""
        return {**self.__dict__, "_buffers": {**self._buffers, **self.tensors()}, "_packed": None, "_part": None}

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class _Through(torch.autograd.Function):
    """A quantised layer; the gradient goes through the weight that its numbers stand for, made anew each time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor | None, layer: QuantisedLinear) -> Tensor:
        ctx.layer = layer
        return layer.compute(x, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        to_input, to_bias, _ = ctx.needs_input_grad
        return (
            grad @ ctx.layer.dequantised(grad.dtype) if to_input else None,
            grad.flatten(0, -2).sum(0) if to_bias else None,
            None,
        )


class Int8Linear(QuantisedLinear):
    """One scale for each output; inputs are rounded to 8 bits as well, with a scale for each row.

    So rows change nothing in each other, and results are the same whatever rows stand beside them.
    """

    as_stored = ("weight_scale",)

    def __init__(self, in_features: int, out_features: int, bias: Tensor | None = None) -> None:
        super().__init__(in_features, out_features, bias)
        self.register_buffer("weight", torch.empty(out_features, in_features, dtype=torch.int8))
        self.register_buffer("weight_scale", torch.empty(out_features, dtype=torch.float32))

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None) -> Self:
        with torch.device("meta"):
            layer = cls(weight.shape[1], weight.shape[0])
        layer.bias = bias  # type: ignore[assignment]
        layer.weight = torch.empty(weight.shape, dtype=torch.int8, device=weight.device)
        layer.weight_scale = torch.empty(len(weight), device=weight.device)
        # Part by part, for memory's sake: an output layer has many rows.
        parts = (tensor.split(_PART) for tensor in (weight.detach(), layer.weight, layer.weight_scale))
        for floats, numbers, scale in zip(*parts, strict=True):
            values = floats.float()
            torch.div(values.abs().amax(1), 127, out=scale)
            numbers.copy_((values / scale.clamp(min=1e-30)[:, None]).round_())
        return layer

    @staticmethod
    def has_kernel() -> bool:
        return _has_int8_kernel()

    def _pack(self) -> tuple[Tensor, ...]:
        zero = torch.zeros(self.out_features, dtype=torch.int32)
        weight, scale = (tensor.contiguous() for tensor in self.tensors().values())  # a file's layout may be another
        return torch.ops.onednn.qlinear_prepack(weight, None), scale, zero

    def _unpack(self, packed: tuple[Tensor, ...]) -> dict[str, Tensor]:
        return {"weight": packed[0].to_dense().t().contiguous(), "weight_scale": packed[1]}

    def _product(self, x: Tensor, packed: tuple[Tensor, ...], bias: Tensor | None) -> Tensor:
        numbers, scale, zero = packed
        dtype, x = x.dtype, x.float()
        row = torch.linalg.vector_norm(x, float("inf"), -1, keepdim=True).div_(127).clamp_(min=1e-30)
        rounded = (x / row).round_().to(torch.int8)
        few = 256 // self.out_features + 1  # for 256 results and fewer the library takes its slowest way
        if len(x) < few:
            rounded = F.pad(rounded, (0, 0, 0, few - len(x)))
        out = torch.ops.onednn.qlinear_pointwise(
            rounded, 1.0, 0, numbers, scale, zero, None, 1.0, 0, torch.float32, "none", [], ""
        )
        out = out[: len(x)]
        out = out.mul_(row) if bias is None else torch.addcmul(bias.to(out.dtype), out, row)
        return out.to(dtype)

    def _floats(self, tensors: dict[str, Tensor]) -> Tensor:
        return tensors["weight"] * tensors["weight_scale"][:, None]


class Int4Linear(QuantisedLinear):
    """Two numbers in a byte, the first in its lower half; groups of inputs share a scale and a zero.

    A number ``n`` stands for ``(n - 8) * scale + zero``.
    """

    as_stored = ("weight_scale", "weight_zero")

    def __init__(self, in_features: int, out_features: int, bias: Tensor | None = None) -> None:
        super().__init__(in_features, out_features, bias)
        self.register_buffer("weight", torch.empty(out_features, in_features // 2, dtype=torch.uint8))
        for name in self.as_stored:
            self.register_buffer(name, torch.empty(out_features, in_features // GROUP, dtype=torch.bfloat16))

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None) -> Self:
        with torch.device("meta"):
            layer = cls(weight.shape[1], weight.shape[0])
        layer.bias = bias  # type: ignore[assignment]
        groups = weight.detach().float().unflatten(1, (-1, GROUP))
        low, high = groups.aminmax(dim=2)
        scale = ((high - low) / 15).clamp(min=1e-30).bfloat16()
        zero = (low + 8 * scale.float()).bfloat16()
        numbers = (groups - zero.float()[..., None]) / scale.float()[..., None]
        numbers = numbers.round_().add_(8).clamp_(0, 15).to(torch.uint8).flatten(1)
        layer.weight = numbers[:, ::2] | numbers[:, 1::2] << 4
        layer.weight_scale, layer.weight_zero = scale, zero
        return layer

    @staticmethod
    def has_kernel() -> bool:
        return _has_int4_kernel()

    def _pack(self) -> tuple[Tensor, ...]:
        short = -self.out_features % _BLOCK
        tensors = [F.pad(tensor, (0, 0, 0, short)) for tensor in self.tensors().values()]
        pairs = torch.stack([tensor.t() for tensor in tensors[1:]], -1)
        return _to_blocks(_numbers(tensors[0])), pairs.contiguous()

    def _unpack(self, packed: tuple[Tensor, ...]) -> dict[str, Tensor]:
        numbers, pairs = _from_blocks(packed[0]).t()[: self.out_features], packed[1].transpose(0, 1)
        scale, zero = pairs[: self.out_features].unbind(-1)
        weight = numbers[:, ::2] | numbers[:, 1::2] << 4
        return {"weight": weight, "weight_scale": scale.contiguous(), "weight_zero": zero.contiguous()}

    def _product(self, x: Tensor, packed: tuple[Tensor, ...], bias: Tensor | None) -> Tensor:
        blocks, pairs = packed
        if len(x) <= _FEW_ROWS:
            out = torch.ops.aten._weight_int4pack_mm_for_cpu(x.bfloat16(), blocks, GROUP, pairs).to(x.dtype)
        else:
            scale, zero = pairs[:, None].to(x.dtype).unbind(-1)
            numbers = _from_blocks(blocks).to(x.dtype).unflatten(0, (-1, GROUP))
            out = x @ torch.addcmul(zero - 8 * scale, numbers, scale).flatten(0, 1)
        out = out[:, : self.out_features]
        return out.contiguous() if bias is None else out + bias

    def _floats(self, tensors: dict[str, Tensor]) -> Tensor:
        numbers = _numbers(tensors["weight"]).float().sub_(8).unflatten(1, (-1, GROUP))
        scale, zero = tensors["weight_scale"].float(), tensors["weight_zero"].float()
        return torch.addcmul(zero[..., None], numbers, scale[..., None]).flatten(1)


def _numbers(pairs: Tensor) -> Tensor:
    """Each number of two in a byte, uint8."""
    return torch.stack((pairs & 15, pairs >> 4), -1).flatten(-2)


def _to_blocks(numbers: Tensor) -> Tensor:
    """Numbers ``[out, in]`` of 4 bits in the kernel's order, ``[out, in / 2]`` bytes: blocks of outputs, by inputs."""
    low, high = numbers.unflatten(0, (-1, 2, _BLOCK // 2)).unbind(1)
    return (low | high << 4).transpose(1, 2).contiguous().view(numbers.shape[0], -1)


def _from_blocks(blocks: Tensor) -> Tensor:
    """The numbers of ``_to_blocks`` the other way round, ``[in, out]``."""
    by_input = blocks.view(-1, 2 * blocks.shape[1], _BLOCK // 2).transpose(0, 1)
    return torch.stack((by_input & 15, by_input >> 4), 2).flatten(1)


@cache
def _has_int8_kernel() -> bool:
    """Does the kernel give what is expected on this machine, and give the numbers back?"""
    numbers = torch.arange(-96, 96, dtype=torch.int8).reshape(12, 16)
    x = numbers[:2] + 1
    zero = torch.zeros(12, dtype=torch.int32)
    try:
        packed = torch.ops.onednn.qlinear_prepack(numbers, None)
        out = torch.ops.onednn.qlinear_pointwise(
            x, 1.0, 0, packed, torch.ones(12), zero, None, 1.0, 0, torch.float32, "none", [], ""
        )
        back = packed.to_dense().t()
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return torch.equal(out, x.float() @ numbers.t().float()) and torch.equal(back, numbers)


@cache
def _has_int4_kernel() -> bool:
    """Does the kernel give what is expected on this machine? Its order is that of processors with AVX-512."""
    numbers = (torch.arange(2 * _BLOCK * GROUP) * 7 // 5 % 16).to(torch.uint8).view(_BLOCK, 2 * GROUP)
    x = torch.arange(-GROUP, GROUP).bfloat16()[None]
    pairs = torch.tensor((1.0, 0.0), dtype=torch.bfloat16).expand(2, _BLOCK, 2).contiguous()
    try:
        out = torch.ops.aten._weight_int4pack_mm_for_cpu(x, _to_blocks(numbers), GROUP, pairs)
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return torch.equal(out, (x.float() @ (numbers.float() - 8).t()).bfloat16())
