"""Norms: the width is that of the place where they stand."""

from __future__ import annotations

from headway.spec.part import part


@part
class LayerNorm:
    """Ba et al. 2016, arXiv:1607.06450."""

    eps: float


@part
class BiasFreeLayerNorm:
    """``LayerNorm`` with a weight and no bias."""

    eps: float


@part
class RMSNorm:
    """Zhang and Sennrich 2019, arXiv:1910.07467; computed in float32."""

    eps: float


@part
class ZeroCenteredRMSNorm:
    """Gemma's RMSNorm (arXiv:2403.08295), which multiplies by one plus its weight; all of it in float32."""

    eps: float


@part
class BareLayerNorm:
    """``LayerNorm`` without weight and bias."""

    eps: float


Norm = LayerNorm | BiasFreeLayerNorm | BareLayerNorm | RMSNorm | ZeroCenteredRMSNorm
