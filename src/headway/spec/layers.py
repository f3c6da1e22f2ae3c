"""Layers: how mixers stand in their residual branches, and what is said of several layers at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from headway.spec.mixers import Attention, Mixer
from headway.spec.mlps import ChannelMixer
from headway.spec.norms import Norm, RMSNorm
from headway.spec.part import part
from headway.spec.positions import Position


@part
class PreNorm:
    """``x + f(norm(x))`` for every part."""

    norm: Norm


@part
class FirstPreNorm:
    """``PreNorm`` of a first layer whose input is normed already: its token mixer has no norm."""

    norm: Norm


@part
class Float32PreNorm:
    """``PreNorm`` with sums in float32, whatever the parameters are; the stack's last norm leads back."""

    norm: RMSNorm


@part
class PostNorm:
    """``norm(x + f(x))`` for every part."""

    norm: Norm


@part
class Sandwich:
    """``x + norm(f(norm(x)))`` for every part (Ding et al. 2021, arXiv:2105.13290)."""

    norm: Norm


@part
class NormedResidual:
    """``norm(x) + f(norm(x))`` for every part."""

    norm: Norm


@part
class Parallel:
    """``x + mixer(norm(x)) + mlp(norm(x))``: both parts read one norm (Wang and Komatsuzaki 2021, GPT-J)."""

    norm: Norm


@part
class ParallelNorms:
    """``x + mixer(norm(x)) + mlp(norm'(x))``: each part reads its own norm (Black et al. 2022, arXiv:2204.06745)."""

    norm: Norm


@part
class ScaledPreNorm:
    """``x + scale * f(norm(x))`` with learned scales (LayerScale, Touvron et al. 2021, arXiv:2103.17239).

    Scales start from ``initial``. ``skip`` is how likely a row skips a part while training (Huang et al. 2016,
    arXiv:1603.09382).
    """

    norm: Norm
    initial: float = 1.0
    skip: float = 0.0


Residual = (
    PreNorm
    | FirstPreNorm
    | Float32PreNorm
    | PostNorm
    | Sandwich
    | NormedResidual
    | Parallel
    | ParallelNorms
    | ScaledPreNorm
)


@part
class Layer:
    """A token mixer, an optional look at a memory, and an optional channel mixer, each in a residual branch."""

    mixer: Mixer
    mlp: ChannelMixer | None
    residual: Residual
    cross: Attention | None = None
    dropout: float = 0.0


@part
class ConvolvedLayer:
    """A layer whose output is joined by a convolution over its input: ``norm(layer(x) + act(conv(x)))``."""

    layer: Layer
    kernel: int
    groups: int
    activation: str
    norm: Norm


def decoding(layer: Layer) -> Layer:
    """``layer`` in a decoder: each token sees those before it and, through a mixer of the same shape, the memory."""
    assert isinstance(layer.mixer, Attention)
    return replace(layer, mixer=replace(layer.mixer, causal=True), cross=replace(layer.mixer, position=None))


def repeat(layer: Layer, count: int) -> tuple[Layer, ...]:
    """``count`` equal layers."""
    return (layer,) * count


def windowed(layer: Layer, windows: Iterable[int | None]) -> tuple[Layer, ...]:
    """``layer`` once for each of ``windows``, with that window."""
    assert isinstance(layer.mixer, Attention)
    return tuple(replace(layer, mixer=replace(layer.mixer, window=window)) for window in windows)


def mixer_of(layer: Layer | ConvolvedLayer) -> Mixer:
    """The token mixer of ``layer``."""
    return layer.layer.mixer if isinstance(layer, ConvolvedLayer) else layer.mixer


def positions_of(layers: Iterable[Layer | ConvolvedLayer]) -> tuple[Position, ...]:
    """The distinct positions that ``layers`` name, in order of first use: a stack computes each once a pass."""
    found: dict[Position, None] = {}
    for layer in layers:
        position = mixer_of(layer).position
        if position is not None:
            found[position] = None
    return tuple(found)
