"""Normalisation over the last axis."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway import spec
from headway.nn.builders import builds


@builds(spec.LayerNorm)
class LayerNorm(nn.Module):
    """``(x - mean) / sqrt(variance + eps) * weight + bias``."""

    neutral = 1.0

    def __init__(self, norm: spec.LayerNorm | spec.BiasFreeLayerNorm, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(width))
        self.shape = (width,)
        self.eps = norm.eps

    def forward(self, x: Tensor) -> Tensor:
        own: Any = self._parameters
        try:
            weight, bias = own["weight"], own["bias"]
        except KeyError:  # another module computes them
            weight, bias = self.weight, self.bias
        return torch.layer_norm(x, self.shape, weight, bias, self.eps)


@builds(spec.BareLayerNorm)
class BareLayerNorm(nn.Module):
    """``(x - mean) / sqrt(variance + eps)``."""

    def __init__(self, norm: spec.BareLayerNorm, width: int) -> None:
        super().__init__()
        self.shape = (width,)
        self.eps = norm.eps

    def forward(self, x: Tensor) -> Tensor:
        return torch.layer_norm(x, self.shape, None, None, self.eps)


@builds(spec.BiasFreeLayerNorm)
class BiasFreeLayerNorm(LayerNorm):
    """``(x - mean) / sqrt(variance + eps) * weight``."""

    def __init__(self, norm: spec.BiasFreeLayerNorm, width: int) -> None:
        super().__init__(norm, width)
        self.register_parameter("bias", None)


@builds(spec.RMSNorm)
class RMSNorm(nn.Module):
    """``x / sqrt(mean(x ** 2) + eps) * weight``, the quotient in float32, the product in the weight's dtype."""

    neutral = 1.0

    def __init__(self, norm: spec.RMSNorm | spec.ZeroCenteredRMSNorm, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.shape = (width,)
        self.eps = norm.eps

    def forward(self, x: Tensor) -> Tensor:
        own: Any = self._parameters
        try:
            weight = own["weight"]
        except KeyError:  # another module computes it
            weight = self.weight
        if x.dtype == weight.dtype == torch.float32:
            return torch.rms_norm(x, self.shape, weight, self.eps)
        return weight * F.rms_norm(x.float(), self.shape, None, self.eps).to(weight.dtype)


@builds(spec.ZeroCenteredRMSNorm)
class ZeroCenteredRMSNorm(RMSNorm):
    """``x / sqrt(mean(x ** 2) + eps) * (1 + weight)``, in float32."""

    neutral = 0.0

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.shape, self.weight.float() + 1.0, self.eps).to(x.dtype)
