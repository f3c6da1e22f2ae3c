"""A stack of layers and the backbones made of one or two."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from headway import spec
from headway.nn.batch import Batch
from headway.nn.builders import build, builds
from headway.nn.cache import Cache
from headway.nn.linear import Embedding, Linear
from headway.nn.run import Run, Trace


@dataclass
class Tokens:
    """The text of a pass as the caller gave it: ids or vectors, and segment ids, each ``[rows, width]``."""

    ids: Tensor | None = None
    vectors: Tensor | None = None
    types: Tensor | None = None


@builds(spec.Stack)
class Stack(nn.Module):
    """Embedding, layers and final norm; owns the positions that its layers share.

    Where ``recomputes`` is True, training keeps the layers' inputs alone; see ``recomputed``.
    """

    def __init__(self, stack: spec.Stack, own_tokens: bool = True) -> None:
        super().__init__()
        shared = spec.positions_of(stack.layers)
        is_text = isinstance(stack.embed, spec.Embed)
        self.embed = build(stack.embed, stack.width, own_tokens) if is_text else build(stack.embed, stack.width)
        self.positions = nn.ModuleList(build(position) for position in shared)
        self.layers = nn.ModuleList(build(layer, stack.width, shared) for layer in stack.layers)
        self.norm = None if stack.norm is None else build(stack.norm, stack.width)
        self.project = None if stack.out is None else Linear(stack.width, stack.out, bias=False)
        self.order = stack.order or tuple(range(len(stack.layers)))
        self.width = stack.width
        self.dropout = stack.dropout
        self.records_outputs = stack.records == "outputs"
        self.recomputes = False

    def forward(self, x: Tensor, run: Run) -> Tensor:
        """From embedded tokens to states, in the layout of ``run.batch``."""
        positions: Any = self.positions
        run.positions = tuple(position.prepare(run, x) for position in positions)
        hidden = run.trace.hidden
        layers = tuple(self.layers)
        recomputes = self.recomputes and torch.is_grad_enabled() and self.training and run.cache is None
        for run.step, number in enumerate(self.order):
            if hidden is not None:
                hidden.append(run.batch.unpack(x))
            x = recomputed(layers[number], x, run) if recomputes else layers[number](x, run)
        if hidden is not None and self.records_outputs:
            hidden[:] = *hidden[1:], run.batch.unpack(x)
        if self.norm is not None:
            x = self.norm(x)
        if self.project is not None:
            x = self.project(x)
        if self.training and self.dropout:
            x = F.dropout(x, self.dropout)
        if hidden is not None:
            hidden.append(run.batch.unpack(x))
        if run.cache is not None:
            run.cache.advance(run.batch)
        return x


def recomputed(layer: nn.Module, x: Tensor, run: Run) -> Tensor:
    """``layer(x, run)``, of which the backward pass computes again what it needs (Chen et al. 2016, arXiv:1604.06174).

    A layer leaves in ``run`` what later ones share; computing again starts from what was there before it.
    """
    before, passes = run.again(), [run]

    def forward(x: Tensor) -> Tensor:
        y: Tensor = layer(x, passes.pop() if passes else before.again())
        return y

    y: Tensor = checkpoint(forward, x, use_reentrant=False)
    return y


@dataclass
class States:
    """What a backbone gives to heads: the last states in the layout of ``batch``, and where they came from."""

    x: Tensor
    batch: Batch
    trace: Trace
    cache: Cache | None = None
    encoder: States | None = None
    pooled: Tensor | None = None
    choices: int = 1

    @cached_property
    def unpacked(self) -> Tensor:
        """``[rows, width, channels]``, zeros at padding."""
        return self.batch.unpack(self.x)


class Backbone(Stack):
    """One stack, a norm after the states that are recorded, and a pooler, where these are given."""

    def __init__(self, backbone: spec.Encoder | spec.Decoder | spec.VisionEncoder, pooled: bool = True) -> None:
        super().__init__(backbone.stack)
        width, pooler = backbone.stack.width, backbone.pooler
        self.final_norm = None if backbone.norm is None else build(backbone.norm, width)
        self.pooler = build(pooler, width) if pooled and pooler is not None else None

    def after(self, x: Tensor, run: Run, ids: Tensor | None = None) -> States:
        """Run the stack over embedded tokens."""
        x = self(x, run)
        if self.final_norm is not None:
            x = self.final_norm(x)
        return States(
            x, run.batch, run.trace, run.cache, pooled=None if self.pooler is None else self.pooler(x, run, ids)
        )


class TextBackbone(Backbone):
    """One stack over text."""

    def states(self, tokens: Tokens, run: Run) -> States:
        """Run the stack over ``tokens``."""
        return self.after(self.embed(run.batch, tokens.ids, tokens.types, tokens.vectors), run, tokens.ids)


builds(spec.Encoder)(TextBackbone)
builds(spec.Decoder)(TextBackbone)
builds(spec.VisionEncoder)(Backbone)


@builds(spec.TwoTowers)
class TwoTowersBackbone(nn.Module):
    """A backbone over text and one over images."""

    def __init__(self, backbone: spec.TwoTowers, pooled: bool = True) -> None:
        super().__init__()
        self.text, self.vision = build(backbone.text), build(backbone.vision)


@builds(spec.EncoderDecoder)
class EncoderDecoderBackbone(nn.Module):
    """Two stacks, or the one of ``parts`` that a head reads, over one token table or one each."""

    def __init__(self, backbone: spec.EncoderDecoder, parts: tuple[str, ...] = ("encoder", "decoder")) -> None:
        super().__init__()
        embed = backbone.encoder.embed
        assert isinstance(embed, spec.Embed)
        own = not backbone.shared
        self.tokens = Embedding(embed.vocabulary, embed.width) if backbone.shared else None
        self.encoder = build(backbone.encoder, own) if "encoder" in parts else None
        self.decoder = build(backbone.decoder, own) if "decoder" in parts else None

    def encode(self, tokens: Tokens, run: Run) -> States:
        """Run the encoder alone."""
        return self._states(self.encoder, tokens, run)

    def decode(self, tokens: Tokens, run: Run) -> States:
        """Run the decoder over ``run.memory``."""
        return self._states(self.decoder, tokens, run)

    def _states(self, stack: Any, tokens: Tokens, run: Run) -> States:
        x = stack(stack.embed(run.batch, tokens.ids, tokens.types, tokens.vectors, self.tokens), run)
        return States(x, run.batch, run.trace, run.cache)
