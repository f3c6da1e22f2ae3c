"""Hidden states by layer: how long they are, how far a layer turns them, and what the model would say there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headway.errors import InputError
from headway.views.calls import call, own
from headway.views.lens import Lens, layer_names, look
from headway.views.page import View, as_bytes, check_size
from headway.views.scene import Array, Scene
from headway.views.tokens import readable


class HiddenStatesView(View):
    """The states of one row by layer.

    Args:
        hidden_states: a model's ``hidden_states``: ``[rows, tokens, channels]`` for each layer, the embeddings first.
        tokens: the tokens of the row that is shown, padding included.
        lens: what the model's head says of each state, where that is known.
        row: the row of the batch.
        layers: a name for each of the states.
        title: stands above the view.

    Attributes:
        norms: ``[layers + 1, tokens]``, the length of each state.
        change: ``[layers, tokens]``, the cosine of a token's states before and after each layer.
        similarity: ``[layers + 1, tokens, tokens]``, the cosines of the tokens' states in one layer.
        lens: a ``Lens``, or None.
        tokens: the tokens, as they were given.

    Raises:
        InputError: there are no states, tokens do not fit them, or there are too many of them for a page.
    """

    kind = "hidden"

    def __init__(
        self,
        hidden_states: Sequence[Any],
        tokens: Sequence[str | None],
        lens: Lens | None = None,
        *,
        row: int = 0,
        layers: Sequence[str] | None = None,
        title: str = "Hidden states",
    ) -> None:
        if not hidden_states:
            raise InputError("There are no hidden states: call the model with output_hidden_states=True.")
        states = [own(layer, row) for layer in hidden_states]
        count = len(states[0])
        if count != len(tokens):
            raise InputError(
                f"There are {count} states in a layer, but {len(tokens)} tokens: pass the tokens of the same row, "
                "padding included."
            )
        check_size(len(states) * count**2, "The similarities of all tokens", "pass a shorter text")
        self.tokens, self.lens, self.title = tuple(tokens), lens, title
        self.layers = tuple(layers) if layers is not None else ("embeddings", *map(str, range(len(states) - 1)))
        self.norms: Array = torch.stack([state.norm(dim=-1) for state in states]).numpy()
        unit = [torch.nn.functional.normalize(state, dim=-1) for state in states]
        self.similarity: Array = torch.stack([state @ state.T for state in unit]).numpy()
        self.change = _between(unit)

    def data(self) -> dict[str, Any]:
        lens = self.lens
        return {
            "title": self.title,
            "tokens": readable(self.tokens),
            "layers": self.layers,
            "norms": _digits(self.norms),
            "change": _digits(self.change),
            "similarity": as_bytes((self.similarity + 1) / 2),
            "lens": None
            if lens is None
            else {
                "tokens": [[readable(said) for said in layer] for layer in lens.tokens],
                "probabilities": _digits(lens.probabilities),
            },
        }

    def scene(self) -> Scene:
        scene, tokens = Scene(self.title), readable(self.tokens)
        if self.lens is not None:
            scene.heading(f"{self.title}: the likeliest token by layer")
            said = [[readable(best)[0] for best in layer] for layer in self.lens.tokens]
            scene.table(self.lens.probabilities[..., 0] * 0.6, self.layers, tokens, said)
        scene.heading(f"{self.title}: norms of states by layer")
        scene.table(shades_of(self.norms), self.layers, tokens, [[f"{norm:.3g}" for norm in row] for row in self.norms])
        scene.heading(f"{self.title}: cosine of states before and after each layer")
        cosines = [[f"{cosine:.2f}" for cosine in row] for row in self.change]
        scene.table((1 - self.change) * 0.5, self.layers[1:], tokens, cosines)
        return scene

    def __repr__(self) -> str:
        lens = "" if self.lens is None else ", with logit lens"
        return f"HiddenStatesView({self.title!r}: {len(self.layers)} layers of {len(self.tokens)} tokens{lens})"


def hidden_states_view(
    model: Any,
    tokenizer: Any,
    text: str,
    text_pair: str | None = None,
    target: str | None = None,
    *,
    part: str | None = None,
) -> HiddenStatesView:
    """Run a model on one text and show its states by layer.

    Where the model has a language-modelling head, the logit lens (nostalgebraist, 2020) shows what the head would say
    of each layer's states.

    Args:
        model: any over text; it is run without dropout, and left as it was.
        tokenizer: the tokenizer of the model.
        text: the text; of an encoder-decoder, the encoder's.
        text_pair: a second text that is read with it.
        target: what the decoder of an encoder-decoder is to write; left out, what it writes itself.
        part: "encoder" or "decoder" (the default) of a model that has both.

    Raises:
        InputError: ``part`` or ``target`` do not fit the model, or as ``HiddenStatesView`` says.
    """
    done = call(model, tokenizer, text, text_pair, target, output_hidden_states=True)
    both = done.target is not None
    if part not in ((None, "encoder", "decoder") if both else (None,)):
        known = "'encoder' or 'decoder'" if both else "left out: the model has one stack"
        raise InputError(f"Expected part to be {known}, got {part!r}.")
    side = (part or "decoder") if both else None
    states: Sequence[Tensor] = done.outputs[f"{side}_hidden_states" if both else "hidden_states"]
    tokens = done.target if side == "decoder" else done.tokens
    lens = None if side == "encoder" else look(model, tokenizer, states)
    layers = layer_names(model, side, len(states))
    return HiddenStatesView(states, tokens or (), lens, layers=layers, title=done.title)


def shades_of(norms: Array) -> Array:
    """Norms as shades: by their logarithm, since a few are often far longer than all others."""
    logs = np.log(norms.clip(1e-9))
    span = max(float(logs.max() - logs.min()), 1e-9)
    shades: Array = 0.6 * (logs - logs.min()) / span
    return shades


def _between(unit: Sequence[Tensor]) -> Array:
    pairs = [(one * other).sum(-1) for one, other in pairwise(unit)]
    found: Array = torch.stack(pairs).numpy() if pairs else np.zeros((0, len(unit[0])), np.float32)
    return found


def _digits(values: Array) -> Any:
    """Numbers with as many digits as are read."""
    if values.ndim > 1:
        return [_digits(row) for row in values]
    return [float(f"{value:.3g}") for value in values.tolist()]
