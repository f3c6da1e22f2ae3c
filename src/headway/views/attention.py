"""Attention maps: what each token looks at, by layer and head."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from headway.errors import InputError
from headway.views.calls import call, own
from headway.views.page import View, as_bytes, check_size
from headway.views.scene import Array, Scene
from headway.views.tokens import readable

FAINT = 0.2
# The fields of outputs that hold maps: what they are called, and whether queries and keys are the target's tokens.
_FIELDS = {
    "encoder_attentions": ("encoder", False, False),
    "decoder_attentions": ("decoder", True, True),
    "cross_attentions": ("cross", True, False),
}


@dataclass(frozen=True)
class AttentionMaps:
    """The maps of one stack.

    Attributes:
        weights: ``[layers, heads, queries, keys]`` float32; a row is what one query gives to each key.
        queries, keys: their tokens.
        layers, heads: the numbers of those that are there, from 0.
    """

    weights: Array
    queries: tuple[str | None, ...]
    keys: tuple[str | None, ...]
    layers: tuple[int, ...]
    heads: tuple[int, ...]

    @property
    def exponent(self) -> float:
        """The power of a weight that is how strongly it is drawn: one that keys share evenly is seen, but faint."""
        even = math.log(max(len(self.keys), 2))
        return round(min(max(-math.log(FAINT) / even, 0.25), 1.0), 3)


class AttentionView(View):
    """Attention maps to explore in a notebook or a page, or as a picture.

    Args:
        attentions: a model's outputs, or its attentions: a tensor ``[rows, heads, queries, keys]`` for each layer.
        tokens: the tokens of the row that is shown, padding included; of an encoder-decoder, the encoder's.
        target_tokens: those that a decoder read which looked at ``tokens``.
        row: the row of the batch.
        layers, heads: numbers of those to show, from 0 or, negative, from the last; left out, all.
        title: stands above the view.

    Attributes:
        maps: ``AttentionMaps`` by name: "self", or "encoder", "decoder" and "cross".
        weights: of the first of these, ``[layers, heads, queries, keys]``.
        tokens: the tokens, as they were given.

    Raises:
        InputError: there are no attentions, tokens do not fit them, or there is no such layer, head or row; or there
            are more weights than a page can hold.
    """

    kind = "attention"

    def __init__(
        self,
        attentions: Any,
        tokens: Sequence[str | None],
        target_tokens: Sequence[str | None] | None = None,
        *,
        row: int = 0,
        layers: Sequence[int] | None = None,
        heads: Sequence[int] | None = None,
        title: str = "Attention",
    ) -> None:
        found = {
            name: (_stacked(values, row, name), queries, keys)
            for name, values, queries, keys in _recorded(attentions, tokens, target_tokens)
        }
        if not found:
            raise InputError("These outputs hold no attentions: call the model with output_attentions=True.")
        self.maps = {name: _maps(name, *parts, layers, heads) for name, parts in found.items()}
        self.title = title
        self.tokens = tuple(tokens)
        size = sum(maps.weights.size for maps in self.maps.values())
        check_size(size, "The weights of these maps", "pass layers= or heads= for some of them, or a shorter text")

    @property
    def weights(self) -> Array:
        return next(iter(self.maps.values())).weights

    def data(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "maps": [
                {
                    "name": name,
                    "queries": readable(maps.queries),
                    "keys": readable(maps.keys),
                    "layers": maps.layers,
                    "heads": maps.heads,
                    "exponent": maps.exponent,
                    "roots": as_bytes(np.sqrt(maps.weights.clip(0, 1))),  # which gives small weights finer steps
                }
                for name, maps in self.maps.items()
            ],
        }

    def scene(self) -> Scene:
        scene = Scene(self.title)
        for name, maps in self.maps.items():
            shades: Array = maps.weights.clip(0, 1) ** maps.exponent
            one = shades.shape[:2] == (1, 1)
            which = f"layer {maps.layers[0]}, head {maps.heads[0]}" if one else "layers down, heads across"
            kind = "attention" if name == "self" else f"{name} attention"
            scene.heading(f"{self.title}: {kind}, {which}")
            if one:
                scene.table(shades[0, 0], readable(maps.queries), readable(maps.keys))
            else:
                scene.grid(shades, [str(layer) for layer in maps.layers], [str(head) for head in maps.heads])
        return scene

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {list(maps.weights.shape)}" for name, maps in self.maps.items())
        return f"AttentionView({self.title!r}: {shapes})"


def attention_view(
    model: Any,
    tokenizer: Any,
    text: str,
    text_pair: str | None = None,
    target: str | None = None,
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
) -> AttentionView:
    """Run a model on one text and show its attention.

    Args:
        model: any that records attentions; it is run without dropout, and left as it was.
        tokenizer: the tokenizer of the model.
        text: the text; of an encoder-decoder, the encoder's.
        text_pair: a second text that is read with it.
        target: what the decoder of an encoder-decoder is to write; left out, what it writes itself.
        layers, heads: numbers of those to show, from 0 or, negative, from the last; left out, all.

    Raises:
        InputError: the model records no attentions, or as ``AttentionView`` says.
    """
    done = call(model, tokenizer, text, text_pair, target, output_attentions=True)
    if not any(done.outputs.get(name) for name in ("attentions", *_FIELDS)):
        raise InputError(f"{type(model).__name__} has no attention weights: its layers mix tokens in another way.")
    return AttentionView(done.outputs, done.tokens, done.target, layers=layers, heads=heads, title=done.title)


def _recorded(
    attentions: Any, tokens: Sequence[str | None], target: Sequence[str | None] | None
) -> list[tuple[str, Any, Sequence[str | None], Sequence[str | None]]]:
    """What there is: names, layers, queries and keys."""
    if not isinstance(attentions, Mapping):
        name, queries = ("self", tokens) if target is None else ("cross", target)
        return [(name, attentions, queries, tokens)] if len(attentions) else []
    reads = tokens if target is None else target
    found = [("self", attentions["attentions"], reads, reads)] if attentions.get("attentions") else []
    return found + [
        (name, attentions[field], reads if of_target else tokens, reads if on_target else tokens)
        for field, (name, of_target, on_target) in _FIELDS.items()
        if attentions.get(field)
    ]


def _stacked(values: Sequence[Any], row: int, name: str) -> Array:
    """``[layers, heads, queries, keys]`` of one row."""
    layers = [own(layer, row) for layer in values]
    shapes = {tuple(layer.shape) for layer in layers}
    if len(shapes) > 1 or len(next(iter(shapes))) != 3:
        listed = ", ".join(str(list(shape)) for shape in sorted(shapes))
        raise InputError(
            f"Expected {name} attentions of one shape [rows, heads, queries, keys] in all layers, got rows of {listed}."
        )
    found: Array = torch.stack(layers).numpy()
    return found


def _maps(
    name: str,
    weights: Array,
    queries: Sequence[str | None],
    keys: Sequence[str | None],
    layers: Sequence[int] | None,
    heads: Sequence[int] | None,
) -> AttentionMaps:
    for what, tokens, count in (("queries", queries, weights.shape[2]), ("keys", keys, weights.shape[3])):
        if len(tokens) != count:
            raise InputError(
                f"The {name} attentions have {count} {what}, but there are {len(tokens)} tokens for them: pass the "
                "tokens of the same row, padding included."
            )
    chosen = [_chosen("layer", layers, weights.shape[0]), _chosen("head", heads, weights.shape[1])]
    return AttentionMaps(weights[np.ix_(*chosen)], tuple(queries), tuple(keys), *(tuple(some) for some in chosen))


def _chosen(what: str, numbers: Sequence[int] | None, count: int) -> list[int]:
    for number in numbers if numbers is not None else ():
        if not -count <= number < count:
            raise InputError(f"There is no {what} {number}: there are {count}, numbered from 0 to {count - 1}.")
    if numbers is not None and not len(numbers):
        raise InputError(f"No {what} is chosen; leave {what}s out for all of them.")
    return list(range(count)) if numbers is None else [number % count for number in numbers]
