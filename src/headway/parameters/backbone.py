"""The parameters of backbones: embeddings, stacks of layers, positions and poolers."""

from __future__ import annotations

from collections.abc import Collection

from headway import spec
from headway.parameters.mixers import mixer, mlp
from headway.parameters.tensor import Tensor, Tensors, linear, norm, table, under


def parameters_of(backbone: spec.Backbone, pooled: bool = True, parts: Collection[str] = spec.SIDES) -> Tensors:
    """All tensors of ``backbone`` by canonical names, tied ones once.

    Args:
        pooled: is there something that reads the pooler?
        parts: which stacks of an encoder-decoder are built.
    """
    match backbone:
        case spec.TwoTowers():
            yield from under("text", parameters_of(backbone.text))
            yield from under("vision", parameters_of(backbone.vision))
        case spec.EncoderDecoder():
            embed = backbone.encoder.embed
            if backbone.shared and isinstance(embed, spec.Embed):
                yield from table("tokens", embed.vocabulary, embed.width)
            for name, stack in zip(spec.SIDES, (backbone.encoder, backbone.decoder), strict=True):
                if name in parts:
                    yield from under(name, _stack(stack, not backbone.shared))
        case _:
            yield from _stack(backbone.stack)
            yield from norm("final_norm", backbone.norm, backbone.stack.width)
            if pooled and backbone.pooler is not None:
                yield from under("pooler", _pooler(backbone.pooler, backbone.stack.width))


def _stack(stack: spec.Stack, own_tokens: bool = True) -> Tensors:
    width = stack.width
    if isinstance(stack.embed, spec.Embed):
        yield from under("embed", _embed(stack.embed, width, own_tokens))
    else:
        yield from under("embed", _patches(stack.embed, width))
    for number, position in enumerate(spec.positions_of(stack.layers)):
        yield from under(f"positions.{number}", _position(position))
    # Most layers are equal: each kind is looked at once.
    kinds = {layer: tuple(_layer(layer, width)) for layer in stack.layers}
    for number, layer in enumerate(stack.layers):
        yield from under(f"layers.{number}", iter(kinds[layer]))
    yield from norm("norm", stack.norm, width)
    if stack.out is not None:
        yield from linear("project", width, stack.out, False)


def _embed(embed: spec.Embed, width: int, own_tokens: bool) -> Tensors:
    inner = width if isinstance(embed.project, spec.ProjectTokens) else embed.width
    if own_tokens:
        yield from table("tokens", embed.vocabulary, embed.width)
    if embed.width != width:
        yield from linear("project", embed.width, width, embed.project.bias)
    if isinstance(embed.positions, spec.Learned):
        yield from table("positions", embed.positions.count, inner)
    if isinstance(embed.types, spec.TokenTypes):
        yield from table("types", embed.types.count, inner)
    yield from norm("norm", embed.norm, inner)


def _patches(patches: spec.Patches, width: int) -> Tensors:
    yield "project.weight", Tensor((width, patches.channels, *patches.patch))
    if patches.bias:
        yield "project.bias", Tensor((width,))
    for number in range(patches.tokens):
        yield f"class_tokens.{number}", Tensor((width,))
    if patches.mask:
        yield "mask_token", Tensor((width,))
    if patches.positions:
        yield "positions", Tensor((patches.tokens + patches.grid[0] * patches.grid[1], width))
    yield from norm("norm", patches.norm, width)


def _position(position: spec.Position) -> Tensors:
    match position:
        case spec.LayerBias():
            yield from _position(position.bias)
        case spec.RelativeBias():
            yield from table("table", position.buckets, position.heads)
        case spec.GridBias():
            down, across = position.grid
            yield from table("table", (2 * down - 1) * (2 * across - 1) + 3, position.heads)
        case spec.RelativeTable():
            yield from table("table", 2 * position.span, position.width)
            yield from norm("norm", position.norm, position.width)
        case spec.StoredRotary():
            yield "frequencies", Tensor((position.width // 2,), learned=False)


def _layer(layer: spec.Layer | spec.ConvolvedLayer, width: int) -> Tensors:
    if isinstance(layer, spec.ConvolvedLayer):
        yield from under("layer", _layer(layer.layer, width))
        yield "conv.weight", Tensor((width, width // layer.groups, layer.kernel))
        yield "conv.bias", Tensor((width,))
        yield from norm("norm", layer.norm, width)
        return
    residual, parts = layer.residual, {"attn": mixer(layer.mixer, width)}
    if layer.cross is not None:
        parts["cross"] = mixer(layer.cross, width)
    if layer.mlp is not None:
        parts["mlp"] = mlp(layer.mlp, width)
    for name, tensors in parts.items():
        yield from under(name, tensors)
        unnormed = {spec.FirstPreNorm: "attn", spec.Parallel: "mlp"}.get(type(residual))
        if name != unnormed:
            yield from norm(f"{name}_norm", residual.norm, width)
        if isinstance(residual, spec.Sandwich):
            yield from norm(f"{name}_out_norm", residual.norm, width)
        if isinstance(residual, spec.ScaledPreNorm):
            yield f"{name}_scale.weight", Tensor((width,))


def _pooler(pooler: spec.AnyPooler, width: int) -> Tensors:
    if isinstance(pooler, spec.ProbePooler):
        yield "probe", Tensor((width,))
        for name in "qkvo":
            yield from linear(name, width, width)
        yield from norm("norm", pooler.norm, width)
        yield from under("mlp", mlp(pooler.mlp, width))
        return
    yield from norm("norm", pooler.norm, width)
    if pooler.activation is not None:
        yield from linear("dense", width, pooler.width or width)
