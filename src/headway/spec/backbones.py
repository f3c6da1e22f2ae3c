"""Backbones: stacks of layers, alone or together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from headway.spec.inputs import Embed, Patches
from headway.spec.layers import ConvolvedLayer, Layer, mixer_of
from headway.spec.mixers import Attention, Disentangled, head_width
from headway.spec.mlps import ChannelMixer
from headway.spec.norms import Norm
from headway.spec.part import part
from headway.spec.reads import AnyPooler


@part
class Stack:
    """Layers over an input. ``order`` names the layer run at each step where layers are shared.

    ``out`` is the width that a linear layer without bias brings the last states to (None: they keep ``width``).
    ``records`` says which hidden states callers are shown before the last ones: the "inputs" of layers, or "outputs".
    """

    width: int
    embed: Embed | Patches
    layers: tuple[Layer | ConvolvedLayer, ...]
    norm: Norm | None = None
    order: tuple[int, ...] | None = None
    dropout: float = 0.0
    out: int | None = None
    records: str = "inputs"

    def __post_init__(self) -> None:
        for layer in self.layers:
            mixer = mixer_of(layer)
            if isinstance(mixer, Disentangled) or (isinstance(mixer, Attention) and mixer.head_width is None):
                head_width(self.width, mixer.heads)


@part
class Encoder:
    """A bidirectional text backbone; ``norm`` acts after the states that are recorded."""

    stack: Stack
    pooler: AnyPooler | None = None
    norm: Norm | None = None


@part
class Decoder:
    """A causal text backbone; ``norm`` acts after the states that are recorded."""

    stack: Stack
    pooler: AnyPooler | None = None
    norm: Norm | None = None


@part
class StartToken:
    """A decoder starts with the config's ``decoder_start_token_id``, or else with its padding token."""


@part
class LastTokenFirst:
    """A decoder starts with the last token of the text that it is to write: mBART's name of the language."""


@part
class EncoderDecoder:
    """Two stacks; with ``shared`` they read one token table of the backbone's own."""

    encoder: Stack
    decoder: Stack
    shared: bool = True
    start: StartToken | LastTokenFirst = StartToken()


@part
class VisionEncoder:
    """A bidirectional image backbone; ``norm`` acts after the states that are recorded."""

    stack: Stack
    norm: Norm | None = None
    pooler: AnyPooler | None = None


@part
class TwoTowers:
    """A text and an image backbone whose pooled vectors are compared (Radford et al. 2021, arXiv:2103.00020)."""

    text: Encoder | Decoder
    vision: VisionEncoder


# The stacks of an EncoderDecoder.
SIDES = ("encoder", "decoder")
Backbone = Encoder | Decoder | EncoderDecoder | VisionEncoder | TwoTowers


def with_mlps(decoder: Decoder, mlps: Iterable[ChannelMixer]) -> Decoder:
    """``decoder`` with another channel mixer in each layer."""
    pairs = zip(decoder.stack.layers, mlps, strict=True)
    layers = tuple(replace(layer, mlp=mlp) for layer, mlp in pairs if isinstance(layer, Layer))
    return Decoder(replace(decoder.stack, layers=layers))
