"""Linear layers whose weights are whole numbers of 8 or 4 bits.

A layer holds its numbers (``weight``) and scales as they are saved, until it is first run where there is a kernel for
them: then they are brought into the order that the kernel reads, and kept in that alone. What is saved, copied or moved
is computed back from it, to the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway.nn.integers import GROUP, BlockedInt4, Kernel, OneDnnInt8, TiledInt4, numbers_of

# Outputs that are rounded to 8 bits at a time.
_PART = 8192


class QuantisedLinear(nn.Module):
    """``x @ weight.T + bias``, where whole numbers and scales stand for the weight.

    The weight learns nothing. A gradient reaches the input as if the weight were of floating-point numbers and the
    input had not been rounded.
    """

    # Tensors beside ``weight`` that belong to it; they keep their type, whatever the model's is.
    as_stored: ClassVar[tuple[str, ...]]
    kernels: ClassVar[tuple[Kernel, ...]]

    def __init__(self, in_features: int, out_features: int, bias: Tensor | None = None) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=bias.requires_grad)
        # What the kernel made of the numbers; without one they are in the buffers.
        self._kernel: Kernel | None = None
        self._packed: tuple[Tensor, ...] = ()
        # The layer that holds this one's numbers among others, and the outputs that are this one's.
        self._part: tuple[QuantisedLinear, slice] | None = None

    # --- for subclasses ---------------------------------------------------------------------------------------------

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None) -> Self:
        """The layer that comes nearest to one of ``weight [out, in]`` and ``bias``."""
        raise NotImplementedError

    def _floats(self, tensors: dict[str, Tensor]) -> Tensor:
        """The weight that ``tensors`` stand for, float32."""
        raise NotImplementedError

    def _plain(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """The layer where there is no kernel."""
        return F.linear(x, self.dequantised(x.dtype), bias)

    # --- for all ----------------------------------------------------------------------------------------------------

    @classmethod
    def kernel_on(cls, device: torch.device) -> Kernel | None:
        """The kernel that ``device`` has for such weights."""
        return next((kernel for kernel in cls.kernels if kernel.works_on(device)), None)

    def dequantised(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The weight ``[out, in]`` that the numbers stand for."""
        return self._floats(self.tensors()).to(dtype)

    def tensors(self) -> dict[str, Tensor]:
        """The numbers and what belongs to them, as they are saved."""
        if self._part is not None:
            whole, outputs = self._part
            return {name: tensor[outputs].clone() for name, tensor in whole.tensors().items()}
        if self._kernel is not None:
            return self._kernel.unpack(self._packed, self.out_features)
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
        kernel = self._kernel
        if kernel is None:
            kernel = self.kernel_on(x.device)
            if kernel is None:
                return self._plain(x, bias)
            self.pack(kernel)
        out = kernel.product(x.reshape(-1, self.in_features), self._packed, bias, self.out_features)
        return out.view(*x.shape[:-1], self.out_features)

    def pack(self, kernel: Kernel) -> None:
        """Bring the weight into the kernel's order and let the other go."""
        with torch.inference_mode(False), torch.no_grad():
            self._packed = kernel.pack(self.tensors())
        self._kernel = kernel
        self._let_go()

    def unpack(self) -> None:
        """Hold the weight as it is saved."""
        if self._kernel is not None or self._part is not None:
            with torch.inference_mode(False):
                self._buffers.update(self.tensors())
            self._kernel, self._packed, self._part = None, (), None

    def _let_go(self) -> None:
        for name in ("weight", *self.as_stored):
            self._buffers[name] = None

    @classmethod
    def joined(cls, layers: Sequence[Self], kernel: Kernel) -> Self:
        """The layer that has the outputs of ``layers`` side by side, packed; they come to be parts of it."""
        with torch.device("meta"):
            whole = cls(layers[0].in_features, sum(layer.out_features for layer in layers))
        with torch.inference_mode(False), torch.no_grad():
            tensors = [layer.tensors() for layer in layers]
            whole._buffers.update({name: torch.cat([one[name] for one in tensors]) for name in tensors[0]})
        whole.pack(kernel)
        start = 0
        for layer in layers:
            layer._let_go()
            layer._kernel, layer._packed = None, ()
            layer._part = (whole, slice(start, start + layer.out_features))
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
        own = {"_buffers": {**self._buffers, **self.tensors()}, "_kernel": None, "_packed": (), "_part": None}
        return {**self.__dict__, **own}

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
    kernels = (OneDnnInt8(),)

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

    def _plain(self, x: Tensor, bias: Tensor | None) -> Tensor:
        if x.dtype is torch.float16:  # whose range such sums may leave
            return super()._plain(x, bias)
        tensors = self.tensors()
        out = F.linear(x, tensors["weight"].to(x.dtype)) * tensors["weight_scale"]
        return (out if bias is None else out + bias).to(x.dtype)

    def _floats(self, tensors: dict[str, Tensor]) -> Tensor:
        return tensors["weight"] * tensors["weight_scale"][:, None]


class Int4Linear(QuantisedLinear):
    """Two numbers in a byte, the first in its lower half; groups of inputs share a scale and a zero.

    A number ``n`` stands for ``(n - 8) * scale + zero``.
    """

    as_stored = ("weight_scale", "weight_zero")
    kernels = (BlockedInt4(), TiledInt4())

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

    def _floats(self, tensors: dict[str, Tensor]) -> Tensor:
        numbers = numbers_of(tensors["weight"]).float().sub_(8).unflatten(1, (-1, GROUP))
        scale, zero = tensors["weight_scale"].float(), tensors["weight_zero"].float()
        return torch.addcmul(zero[..., None], numbers, scale[..., None]).flatten(1)
