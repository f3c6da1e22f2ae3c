"""The logit lens: what a language-modelling head would say of the states of every layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from headway.views.scene import Array

MOST = 5


@dataclass(frozen=True)
class Lens:
    """The likeliest tokens by layer and position.

    Attributes:
        tokens: ``[layers + 1][positions][k]``, the likeliest first.
        probabilities: of these, ``[layers + 1, positions, k]`` float32.
    """

    tokens: list[list[list[str | None]]]
    probabilities: Array


@torch.no_grad()
def look(model: Any, tokenizer: Any, states: Sequence[Tensor]) -> Lens | None:
    """Put each layer's states of the first row through the final norm and the head; None for models without such one.

    Args:
        states: the model's ``hidden_states``, of which the last have been through the stack's norm.
    """
    lm = getattr(getattr(model, "head", None), "lm", None)
    if lm is None:
        return None
    stack, norm = _stack(model, "decoder"), getattr(model.backbone, "final_norm", None)
    tokens, probabilities = [], []
    for number, layer in enumerate(states):
        x = layer[:1]
        if number < len(states) - 1:
            x = x if stack.norm is None else stack.norm(x)
            x = x if stack.project is None else stack.project(x)
        best = lm(x if norm is None else norm(x))[0].float().softmax(-1).topk(MOST)
        tokens.append([tokenizer.convert_ids_to_tokens(ids) for ids in best.indices])
        probabilities.append(best.values.cpu())
    return Lens(tokens, torch.stack(probabilities).numpy())


def layer_names(model: Any, side: str | None, count: int) -> tuple[str, ...]:
    """What the states that ``model`` records are called; a layer's number is that of what comes out of it."""
    numbers = tuple(str(number) for number in range(count - 1))
    if getattr(_stack(model, side), "records_outputs", False):
        return (*numbers, "norm")
    return ("embeddings", *numbers)


def _stack(model: Any, side: str | None) -> Any:
    backbone = getattr(model, "backbone", None)
    return getattr(backbone, side or "", None) or backbone
