"""Prompts that wait until there is room for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from headway.errors import InputError
from headway.generation.config import GenerationConfig

Room = tuple[int, int]  # tokens that a row holds at most: of an encoder's input, and of the text itself


class Waiting:
    """Prompts in the order in which they are taken: the longest first.

    Rows of a batch are then alike in length, so that a cache, whose rows are as wide as the longest, holds little but
    tokens; and a prompt that is too long for the model fails at once.

    Args:
        encodes: an encoder reads the prompts, and the texts begin with one token.
        tokens: the budget.
    """

    def __init__(self, texts: Sequence[Tensor], config: GenerationConfig, encodes: bool, tokens: int) -> None:
        self.texts, self.config, self.encodes, self.tokens = texts, config, encodes, tokens
        order = sorted(range(len(texts)), key=lambda number: (-sum(self.room(number)), -len(texts[number])))
        self.order = deque(order)

    def __len__(self) -> int:
        return len(self.order)

    def room(self, number: int) -> Room:
        """What the row of a prompt may come to hold."""
        length, new = len(self.texts[number]), self.config.max_new_tokens or 0
        if self.encodes:
            return length, self.config.max_length or 1 + new
        return 0, self.config.max_length or length + new

    def take(self, present: Sequence[Room], rows: int = 1) -> list[int]:
        """Numbers of those that fit besides rows that are ``present``, each ``rows`` times; one fits an empty batch."""
        rooms = list(present)
        found: list[int] = []
        while self.order:
            rooms.append(self.room(self.order[0]))
            count = len(present) + rows * (len(found) + 1)
            if (present or found) and held(rooms, count) > self.tokens:
                break
            found.append(self.order.popleft())
        return found


def held(rooms: Sequence[Room], rows: int) -> int:
    """Tokens that ``rows`` take, each as wide as the widest of ``rooms``."""
    return rows * sum(map(max, zip(*rooms, strict=True)))


def texts_of(prompts: Any, tokenizer: Any, device: torch.device) -> list[Tensor]:
    """The ids of each prompt, ``[n]`` int64.

    Raises:
        InputError: one is no list of ids, or there are texts and no tokenizer.
    """
    if isinstance(prompts, str) or not isinstance(prompts, Iterable):
        raise InputError(f"Expected a list of prompts, got a {type(prompts).__name__}; put it into a list.")
    found = []
    for number, prompt in enumerate(prompts):
        if isinstance(prompt, str):
            if tokenizer is None:
                raise InputError("The prompts are texts: pass the tokenizer too, as generate(prompts, tokenizer=...).")
            prompt = tokenizer(prompt)["input_ids"]
        try:
            ids = torch.as_tensor(prompt, device=device)
        except (TypeError, ValueError, RuntimeError):
            raise InputError(f"Prompt {number} is no list of token ids; give a list of integers.") from None
        if ids.dim() != 1 or not ids.numel() or ids.is_floating_point() or int(ids.min()) < 0:
            raise InputError(
                f"Prompt {number} has shape {list(ids.shape)} and holds {ids.dtype}; give one token id or more, in a "
                "list of integers or a tensor [tokens]."
            )
        found.append(ids.long())
    return found
