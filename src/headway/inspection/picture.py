"""The architecture of a network as a tree of blocks, drawn as text or as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from headway import spec
from headway.inspection import words
from headway.models.plan import Plan
from headway.parameters import Tensor

Single = spec.Encoder | spec.Decoder | spec.VisionEncoder


@dataclass(frozen=True)
class Block:
    """A part of a network: its name, what it is, how many parameters it has in all, and its parts, in their order.

    ``times`` counts equal ones that are drawn once, at the places ``at`` in their stack.
    """

    name: str
    about: str
    parameters: int
    blocks: tuple[Block, ...] = ()
    times: int = 1
    at: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain values, without what is empty."""
        found: dict[str, Any] = {"name": self.name, "about": self.about, "parameters": self.parameters}
        if self.at:
            found |= {"times": self.times, "at": self.at}
        if self.blocks:
            found["blocks"] = [block.to_dict() for block in self.blocks]
        return found

    def __str__(self) -> str:
        rows = list(_rows(self, ""))
        left = max(len(row[0]) for row in rows)
        return "\n".join(f"{name:<{left}}  {size:>8}  {about}".rstrip() for name, size, about in rows)

    def to_html(self) -> str:
        """As nested lists, which fold."""
        head = f"<b>{escape(self._title)}</b> <small>{count(self.parameters)}</small> &ensp;{escape(self._text)}"
        if not self.blocks:
            return f"<div style='margin-left:1.2em;padding-left:1.1em'>{head}</div>"
        inner = "".join(block.to_html() for block in self.blocks)
        return f"<details open style='margin-left:1.2em'><summary>{head}</summary>{inner}</details>"

    @property
    def _title(self) -> str:
        return f"{self.times} x {self.name}" if self.at else self.name

    @property
    def _text(self) -> str:
        return f"{self.at}: {self.about}" if self.at else self.about


def _rows(block: Block, above: str, mark: str = "") -> Iterable[tuple[str, str, str]]:
    yield above + mark + block._title, count(block.parameters), block._text
    below = above + {"": "", "├─ ": "│  ", "└─ ": "   "}[mark]
    for number, inner in enumerate(block.blocks, 1):
        yield from _rows(inner, below, "└─ " if number == len(block.blocks) else "├─ ")


def count(number: int) -> str:
    """A number of parameters in few digits: ``109.5 M``."""
    for size, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


def draw(plan: Plan, tensors: Mapping[str, Tensor], name: str) -> Block:
    """The picture of a backbone and a head, whose ``tensors`` are those of ``parameters``."""
    sizes = {key: tensor.size for key, tensor in tensors.items() if tensor.learned}
    backbone, blocks = plan.backbone, []
    match backbone:
        case spec.EncoderDecoder():
            if (shared := _size(sizes, "backbone.tokens.")) and isinstance(backbone.encoder.embed, spec.Embed):
                blocks.append(Block("tokens", f"{backbone.encoder.embed.vocabulary:,}, for both stacks", shared))
            for side in plan.parts:
                stack = getattr(backbone, side)
                blocks.append(_tower(side, f"{stack.width:,} channels", _stack(stack, sizes, f"backbone.{side}.")))
        case spec.TwoTowers():
            for side, tower in (("text", backbone.text), ("vision", backbone.vision)):
                blocks.append(_tower(side, _kind(tower), _one(tower, sizes, f"backbone.{side}.")))
        case _:
            blocks += _one(backbone, sizes, "backbone.")
    if plan.head is not None:
        blocks.append(Block(plan.head.task, _head(plan, tensors), _size(sizes, "head.")))
    return Block(name, _kind(backbone), sum(sizes.values()), tuple(blocks))


def _tower(name: str, about: str, blocks: list[Block]) -> Block:
    return Block(name, about, sum(block.parameters for block in blocks), tuple(blocks))


def _kind(backbone: spec.Backbone) -> str:
    match backbone:
        case spec.TwoTowers():
            return "text and images side by side"
        case spec.EncoderDecoder():
            return "an encoder and a decoder"
    kinds = {spec.Encoder: "encoder of text", spec.Decoder: "decoder of text", spec.VisionEncoder: "encoder of images"}
    return f"{kinds[type(backbone)]}, {backbone.stack.width:,} channels"


def _one(
    backbone: spec.Encoder | spec.Decoder | spec.VisionEncoder, sizes: Mapping[str, int], path: str
) -> list[Block]:
    blocks, width = _stack(backbone.stack, sizes, path), backbone.stack.width
    if backbone.norm is not None:
        blocks.append(Block("final norm", words.norm(backbone.norm), _size(sizes, f"{path}final_norm.")))
    pooled = _size(sizes, f"{path}pooler.")
    if backbone.pooler is not None and (pooled or backbone.pooler.__dict__.get("activation") is None):
        blocks.append(Block("pooler", words.pooler(backbone.pooler, width), pooled))
    return blocks


def _stack(stack: spec.Stack, sizes: Mapping[str, int], path: str) -> list[Block]:
    blocks = [Block("embed", words.embed(stack.embed, stack.width), _size(sizes, f"{path}embed."))]
    if positions := _size(sizes, f"{path}positions."):
        blocks.append(Block("positions", "shared by layers", positions))
    blocks += _layers(stack, sizes, path)
    if stack.norm is not None:
        blocks.append(Block("norm", words.norm(stack.norm), _size(sizes, f"{path}norm.")))
    if stack.out is not None:
        blocks.append(Block("project", f"{stack.width:,} -> {stack.out:,}", _size(sizes, f"{path}project.")))
    return blocks


def _layers(stack: spec.Stack, sizes: Mapping[str, int], path: str) -> list[Block]:
    """Layers that look alike as one block; each has its place in the drawing by the first of them."""
    alike: dict[Block, list[int]] = {}
    known: dict[Any, Block] = {}
    for number, layer in enumerate(stack.layers):
        if layer not in known:
            known[layer] = _layer(layer, stack.width, sizes, f"{path}layers.{number}.")
        alike.setdefault(known[layer], []).append(number)
    runs = "" if stack.order is None else f", run {len(stack.order)} times"
    return [
        Block(block.name, block.about + runs, block.parameters * len(at), block.blocks, len(at), ranges(at))
        for block, at in alike.items()
    ]


def _layer(layer: spec.Layer | spec.ConvolvedLayer, width: int, sizes: Mapping[str, int], path: str) -> Block:
    if isinstance(layer, spec.ConvolvedLayer):
        inner = _layer(layer.layer, width, sizes, f"{path}layer.")
        own = Block("convolution", f"{layer.kernel} tokens wide, {layer.activation}", _size(sizes, f"{path}conv."))
        return Block("layer", inner.about, _size(sizes, path), (*inner.blocks, own))
    blocks = [Block("attn", words.mixer(layer.mixer, width), _size(sizes, f"{path}attn."))]
    if layer.cross is not None:
        about = words.mixer(layer.cross, width).replace("both ways", "to the encoder's tokens")
        blocks.append(Block("cross", about, _size(sizes, f"{path}cross.")))
    if layer.mlp is not None:
        blocks.append(Block("mlp", words.mlp(layer.mlp, width), _size(sizes, f"{path}mlp.")))
    return Block("layer", words.residual(layer.residual), _size(sizes, path), tuple(blocks))


def _head(plan: Plan, tensors: Mapping[str, Tensor]) -> str:
    recipe = plan.recipe
    reads = getattr(recipe.pair if isinstance(recipe, spec.SentencePairPretraining) else recipe, "read", None)
    parts = [] if reads is None else [f"reads {words.read(reads)}"]
    dense = getattr(plan.lm or recipe, "dense", None)
    if dense is not None:
        parts.append(f"a hidden layer with {dense.activation}")
    outputs = [tensor.shape[0] for name, tensor in tensors.items() if name in ("head.out.weight", "head.own.weight")]
    if outputs:
        parts.append(f"{outputs[0]:,} output{'s' * (outputs[0] > 1)}")
    if plan.lm is not None:
        parts.append("to the vocabulary" + ("" if "head.lm.decoder.weight" in tensors else " by the token table"))
    if isinstance(recipe, spec.Project | spec.SoftmaxContrast):
        parts.append(f"to {recipe.width:,} channels")
    return ", ".join(parts)


def _size(sizes: Mapping[str, int], path: str) -> int:
    return sum(size for name, size in sizes.items() if name.startswith(path))


def ranges(numbers: Iterable[int]) -> str:
    """Rising numbers in few words: ``0-11``, ``0-2, 4``, ``0, 2, ..., 34``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    steps = {later[0] - earlier[1] for earlier, later in pairwise(runs)}
    if len(runs) > 3 and len(steps) == 1 and all(first == last for first, last in runs):
        return f"{runs[0][0]}, {runs[1][0]}, ..., {runs[-1][0]}"
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
