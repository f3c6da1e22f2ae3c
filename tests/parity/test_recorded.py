"""Hidden states and attention weights are the oracle's, in number and value."""

import pytest
import torch

from parity.compare import assert_close, row_of
from parity.inputs import collate, make_rows
from parity.matrix import every_cell
from parity.oracle import Cell, pair

ASKED = {"output_hidden_states": True, "output_attentions": True}


@every_cell()
@torch.no_grad()
def test_recorded(cell: Cell) -> None:
    both, inputs = pair(cell), collate(make_rows(cell)) | cell.setting.call
    ours, theirs = both.ours(**inputs, **ASKED), both.oracle(**inputs, **ASKED)
    assert_close(ours, theirs)
    kinds = [name for name in ours if name.endswith(("hidden_states", "attentions"))]
    assert kinds
    assert kinds == [name for name in ours if isinstance(ours[name], tuple)] or "router_logits" in ours


@pytest.mark.parametrize("side", ["right", "left"])
@every_cell(lambda cell: not cell.sees)
@torch.no_grad()
def test_recorded_of_a_padded_batch(cell: Cell, side: str) -> None:
    both, rows = pair(cell), make_rows(cell, ragged=True)
    batch = collate(rows, side)
    ours = both.ours(**batch, **ASKED)
    for number, row in enumerate(rows):
        alone = collate([row])
        assert_close(row_of(ours, number, batch), row_of(both.oracle(**alone, **ASKED), 0, alone), f"row {number}")


@every_cell(lambda cell: cell.task == "base")
@torch.no_grad()
def test_recording_changes_nothing(cell: Cell) -> None:
    model, inputs = pair(cell).ours, collate(make_rows(cell)) | cell.setting.call
    assert_close(model(**inputs, **ASKED)[0], model(**inputs)[0])
    assert not {name for name in model(**inputs) if "attentions" in name or name.endswith("hidden_states")}
