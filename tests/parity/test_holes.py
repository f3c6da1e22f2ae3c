"""Every family takes every head of its modality, those that transformers lacks too.

There is no oracle for the holes, so the same is asked of all cells: it runs, learns, does not see padding, and comes
back from disk as it was.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from headway.models.assemble import model_class
from parity.compare import assert_close, row_of
from parity.inputs import collate, config_of, make_labels, make_rows, merge
from parity.oracle import Cell, draw_anew, our_cells

every = pytest.mark.parametrize("cell", our_cells(), ids=str)


@cache
def model_of(cell: Cell) -> Any:
    """A tiny model of the cell that no other library has seen."""
    model = model_class(cell.model_type, cell.task)(config_of(cell)).eval()
    draw_anew(model)
    return model


def test_there_are_holes() -> None:
    from parity.oracle import cells

    assert {*cells()} < {*our_cells()}


@every
def test_runs_and_learns(cell: Cell) -> None:
    model, rows = model_of(cell), make_rows(cell)
    output = model(**collate(merge(rows, make_labels(cell, rows))), **cell.call)
    assert all(bool(value.isfinite().all()) for value in output.values() if isinstance(value, torch.Tensor))
    if not cell.has_loss:
        return
    output.loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad()
    assert all(bool(gradient.isfinite().all()) for gradient in gradients.values() if gradient is not None)
    idle = [name for name, gradient in gradients.items() if gradient is None]
    # A decoder of an encoder-decoder that runs alone has nothing to look at, and no patch was hidden.
    lone = model.plan.parts == ("decoder",)
    assert not [name for name in idle if not (lone and ".cross" in name) and not name.endswith(".mask_token")]


@every
@torch.no_grad()
def test_comes_back_from_disk(cell: Cell, tmp_path: Path) -> None:
    model, inputs = model_of(cell), collate(make_rows(cell))
    model.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        names = list(file.keys())
    assert not {*names} & {*model.state_dict()}, "names of headway's own"
    again = model_class(cell.model_type, cell.task).from_pretrained(tmp_path)
    assert again.load_report.clean, str(again.load_report)
    # Weights lie otherwise in memory once a model has learned, so that sums are rounded otherwise.
    assert_close(again(**inputs), dict(model(**inputs)), tolerance=1e-5)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("cell", [cell for cell in our_cells() if cell.reads], ids=str)
@torch.no_grad()
def test_padding_is_not_seen(cell: Cell, side: str) -> None:
    model, rows = model_of(cell), make_rows(cell, ragged=True)
    rows = merge(rows, make_labels(cell, rows))
    batch = collate(rows, side)
    together = model(**batch)
    alone = [model(**collate([row])) for row in rows]
    for number, (row, output) in enumerate(zip(rows, alone, strict=True)):
        expected = row_of(output, 0, collate([row]))
        assert_close(row_of(together, number, batch), expected, f"row {number}", 1e-5)
    counts_alike = rows[0].get("labels", torch.zeros(())).dim() == 0 or int((rows[0]["labels"] != -100).sum()) == 2
    if cell.has_loss and counts_alike:
        assert_close(together.loss, torch.stack([output.loss for output in alone]).mean())
