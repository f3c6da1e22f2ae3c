"""The cells as test parameters: all plain ones, and of each variant the backbone and its language model.

The other heads on each variant are marked long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headway.models.plan import BASE
from parity.oracle import Cell, cells, variant_cells

SHORT = (BASE, "masked-lm", "causal-lm", "seq2seq-lm", "image-classification")


def param(cell: Cell) -> Any:
    """A cell under its name."""
    is_long = cell.variant != "plain" and cell.task not in SHORT
    return pytest.param(cell, id=str(cell), marks=[pytest.mark.long] if is_long else [])


def every_cell(where: Callable[[Cell], bool] = lambda cell: True) -> Any:
    """Decorator: run the test on every cell, or on those that ``where`` picks."""
    return pytest.mark.parametrize("cell", [param(cell) for cell in (*cells(), *variant_cells()) if where(cell)])
