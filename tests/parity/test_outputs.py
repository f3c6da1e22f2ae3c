"""Outputs and losses are the oracle's, for every family and head that both have."""

import pytest
import torch

from parity.compare import assert_close
from parity.inputs import collate, make_labels, make_rows, merge
from parity.matrix import every_cell
from parity.oracle import Cell, pair


@every_cell()
@torch.no_grad()
def test_output_and_loss(cell: Cell) -> None:
    both, rows = pair(cell), make_rows(cell)
    inputs = collate(merge(rows, make_labels(cell, rows))) | cell.setting.call
    ours, theirs = both.ours(**inputs), both.oracle(**inputs)
    assert cell.task == "base" or ours.loss is not None
    assert_close(ours, theirs)


@every_cell(lambda cell: cell.variant == "plain")
@torch.no_grad()
def test_without_labels_and_as_a_tuple(cell: Cell) -> None:
    both, inputs = pair(cell), collate(make_rows(cell))
    ours, theirs = both.ours(**inputs), both.oracle(**inputs)
    assert_close(ours, theirs)
    assert "loss" not in ours
    values = both.ours(**inputs, return_dict=False)
    assert isinstance(values, tuple)
    assert torch.equal(values[0], ours[0])


@pytest.mark.parametrize("side", ["left", "right", None])
@every_cell(lambda cell: cell.task == "base" and not cell.sees)
@torch.no_grad()
def test_vectors_in_place_of_ids(cell: Cell, side: str | None) -> None:
    both, inputs = pair(cell), collate(make_rows(cell, ragged=side is not None), side)
    by_ids = both.ours(**inputs)
    ids = inputs.pop("input_ids")
    table = both.ours.get_input_embeddings()
    inputs["inputs_embeds"] = table(ids)
    assert_close(both.ours(**inputs), by_ids)
    if side is None:
        assert_close(both.ours(**inputs), both.oracle(**inputs))
