"""BEiT's relative positions: a learned bias for each head and offset between two patches of a grid."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway import spec
from headway.nn.builders import builds
from headway.nn.linear import Embedding
from headway.nn.run import Run


class PreparedGrid:
    """The bias of one pass. Which row of a table stands between two tokens is the same for all layers."""

    def __init__(self, module: GridBias, run: Run) -> None:
        self._module, self._run = module, run

    def rows(self, queries: int, keys: int) -> Tensor:
        """For all tokens, ``[1, heads, tokens, tokens]``: an image has neither padding nor a past."""
        grid, masks = self._run.grid, self._run.masks
        assert grid is not None
        table = self._module.resampled(grid)
        if grid not in masks:
            masks[grid] = _rows(grid).to(table.device)
        return table[masks[grid]].permute(2, 0, 1)[None]


@builds(spec.GridBias)
class GridBias(nn.Module):
    """A row for each offset, line by line, then one each from, to and within the class token."""

    def __init__(self, bias: spec.GridBias, own: bool = False) -> None:
        super().__init__()
        self.grid = bias.grid
        self.table = Embedding(_offsets(bias.grid) + 3, bias.heads)

    def prepare(self, run: Run, like: Tensor) -> PreparedGrid:
        """The bias of a pass, computed when first asked for."""
        return PreparedGrid(self, run)

    def resampled(self, grid: tuple[int, int]) -> Tensor:
        """The table for a grid of any size: for one that is not its own the offsets are resampled."""
        table: Tensor = self.table.weight
        if grid == self.grid:
            return table
        own, wanted = ([2 * count - 1 for count in size] for size in (self.grid, grid))
        offsets = F.interpolate(table[:-3].t().unflatten(1, own)[None], size=wanted, mode="bilinear")[0]
        return torch.cat((offsets.flatten(1).t(), table[-3:]))


def _offsets(grid: tuple[int, int]) -> int:
    """How many offsets there are between two patches of ``grid``."""
    return (2 * grid[0] - 1) * (2 * grid[1] - 1)


def _rows(grid: tuple[int, int]) -> Tensor:
    """``[tokens, tokens]``: which row of the table stands between a query and a key."""
    down, across = (steps.flatten() for steps in torch.meshgrid(*map(torch.arange, grid), indexing="ij"))
    rows = torch.full((1 + len(down),) * 2, _offsets(grid))
    rows[1:, 0] += 1
    rows[0, 0] += 2
    below = down[:, None] - down + grid[0] - 1
    rows[1:, 1:] = below * (2 * grid[1] - 1) + across[:, None] - across + grid[1] - 1
    return rows
