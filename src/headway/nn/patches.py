"""From pixels to the vectors that a stack starts from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway import spec
from headway.errors import InputError
from headway.nn.builders import build, builds


@builds(spec.Patches)
class Patches(nn.Module):
    """Patch vectors after those of no patch, such as the class token, plus learned positions."""

    def __init__(self, patches: spec.Patches, width: int) -> None:
        super().__init__()
        self.image, self.patch, self.channels, self.grid = patches.image, patches.patch, patches.channels, patches.grid
        self.any_size, self.dropout = patches.any_size, patches.dropout
        self.project = nn.Conv2d(patches.channels, width, patches.patch, stride=patches.patch, bias=patches.bias)
        self.class_tokens = nn.ParameterList(torch.empty(width) for _ in range(patches.tokens))
        self.mask_token = nn.Parameter(torch.empty(width)) if patches.mask else None
        count = patches.tokens + self.grid[0] * self.grid[1]
        self.positions = nn.Parameter(torch.empty(count, width)) if patches.positions else None
        self.norm = None if patches.norm is None else build(patches.norm, width)

    def forward(self, pixels: Tensor, interpolate: bool = False, hidden: Tensor | None = None) -> Tensor:
        """Pixels to vectors ``[rows, tokens + patches, channels]``.

        Args:
            pixels: ``[rows, channels, height, width]``.
            interpolate: take images of another size too.
            hidden: boolean ``[rows, patches]``, True at patches that the mask token stands for.
        """
        if not isinstance(pixels, Tensor) or pixels.dim() != 4 or pixels.shape[1] != self.channels:
            got = list(pixels.shape) if isinstance(pixels, Tensor) else f"a {type(pixels).__name__}"
            raise InputError(f"Expected pixel_values to have shape [batch, {self.channels}, height, width], got {got}.")
        if not (interpolate or self.any_size) and tuple(pixels.shape[2:]) != self.image:
            raise InputError(
                f"The image is {pixels.shape[2]} x {pixels.shape[3]} pixels, but this model expects {self.image[0]} x "
                f"{self.image[1]}; resize it, or pass interpolate_pos_encoding=True."
            )
        x = self.project(pixels.to(self.project.weight.dtype)).flatten(2).transpose(1, 2)
        if hidden is not None:
            x = self._hide(x, hidden)
        if len(self.class_tokens):
            x = torch.cat((torch.stack(tuple(self.class_tokens)).expand(pixels.shape[0], -1, -1), x), 1)
        if self.positions is not None:
            x = x + self._positions(self.positions, self.cut(pixels))
        if self.norm is not None:
            x = self.norm(x)
        return F.dropout(x, self.dropout) if self.training and self.dropout else x

    def cut(self, pixels: Tensor) -> tuple[int, int]:
        """Patches down and across."""
        return pixels.shape[2] // self.patch[0], pixels.shape[3] // self.patch[1]

    def _hide(self, x: Tensor, hidden: Tensor) -> Tensor:
        if self.mask_token is None:
            raise InputError("This model has no mask token, so bool_masked_pos must be left out.")
        if hidden.shape != x.shape[:2]:
            raise InputError(f"Expected bool_masked_pos to have shape {list(x.shape[:2])}, got {list(hidden.shape)}.")
        return torch.where(hidden[..., None].bool(), self.mask_token, x)

    def _positions(self, positions: Tensor, grid: tuple[int, int]) -> Tensor:
        if grid == self.grid:
            return positions
        tokens: Any = len(self.class_tokens)
        table = positions[tokens:].unflatten(0, self.grid).permute(2, 0, 1)[None]
        resampled = F.interpolate(table.float(), size=grid, mode="bicubic", align_corners=False).to(table.dtype)
        return torch.cat((positions[:tokens], resampled[0].flatten(1).t()))
