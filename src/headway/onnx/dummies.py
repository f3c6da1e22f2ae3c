"""Inputs that a model takes, drawn by their names."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from headway.config import PreTrainedConfig
from headway.errors import InputError

# Columns without a real token at the beginning and the end of rows, in turn.
_PADDING = ((0, 0), (0, 2), (2, 0), (1, 1))


class Dummies:
    """Values of a size, the same ones every time.

    Args:
        front: padding stands in front alone, as a text that is gone on with has it.
    """

    def __init__(self, config: PreTrainedConfig, rows: int, width: int, choices: int = 3, front: bool = False) -> None:
        self.config, self.rows, self.width, self.choices, self.front = config, rows, width, choices, front
        self._generator = torch.Generator().manual_seed(0)

    def of(self, name: str, axes: int = 2) -> Tensor:
        """What is called ``name``, with ``axes`` axes where it belongs to tokens; raises ``InputError`` for others."""
        shape = (self.rows, self.choices, self.width) if axes == 3 else (self.rows, self.width)
        if name.endswith("input_ids"):
            return self._ids(shape, bool(name.removesuffix("input_ids")))
        if name.endswith("attention_mask"):
            return self._mask(shape, bool(name.removesuffix("attention_mask")))
        if name == "token_type_ids":
            return (torch.arange(self.width) >= self.width // 2).long().expand(shape).contiguous()
        if name == "position_ids":
            return torch.arange(self.width).expand(shape).contiguous()
        if name == "pixel_values":
            return self._pixels()
        raise InputError(f"No values can be drawn for {name!r}; override generate_dummy_inputs in your OnnxConfig.")

    def _mask(self, shape: tuple[int, ...], whole: bool) -> Tensor:
        mask = torch.ones(shape, dtype=torch.int64)
        if whole or self.width < 4:
            return mask
        for number, row in enumerate(mask.view(-1, self.width)):
            before, after = _PADDING[number % len(_PADDING)]
            if self.front:
                before, after = before + after, 0
            row[:before] = 0
            row[self.width - after :] = 0
        return mask

    def _ids(self, shape: tuple[int, ...], whole: bool) -> Tensor:
        """Ids whose rows end in the end-of-sequence token, which some heads read."""
        config: Any = self.config.get_text_config()
        ids = torch.randint(min(5, config.vocab_size - 1), config.vocab_size, shape, generator=self._generator)
        ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
        ids = ids.masked_fill(torch.isin(ids, torch.tensor([end for end in ends if end is not None])), 0)
        end = next((end for end in ends if end is not None and end < config.vocab_size), None)
        if end is not None:
            mask = self._mask(shape, whole)
            last = self.width - 1 - mask.flip(-1).argmax(-1, keepdim=True)
            ids.scatter_(-1, last, end)
        return ids

    def _pixels(self) -> Tensor:
        config: Any = getattr(self.config, "vision_config", self.config)
        size = config.image_size
        size = (size, size) if isinstance(size, int) else tuple(size)
        return torch.randn(self.rows, getattr(config, "num_channels", 3), *size, generator=self._generator)
