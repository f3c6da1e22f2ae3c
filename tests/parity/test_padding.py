"""A padded batch says of each row what the oracle says of that row alone, whatever the side and the padding's ids."""

from typing import Any

import pytest
import torch

from parity.compare import assert_close, distance, row_of
from parity.inputs import collate, make_labels, make_rows, merge
from parity.matrix import every_cell
from parity.oracle import Cell, Pair, pair

BY_TOKEN = ("token-classification", "masked-lm", "causal-lm", "seq2seq-lm", "pretraining")
SIDES = pytest.mark.parametrize("side", ["right", "left"])


def loss_of_rows(both: Pair, rows: list[dict[str, Any]]) -> torch.Tensor:
    """The oracle's loss of a batch without padding, from its losses of the rows: each weighs by the labels it has."""
    losses = torch.stack([both.oracle(**collate([row])).loss for row in rows])
    counts = torch.tensor([counted(row["labels"]) if "labels" in row else 1 for row in rows]).float()
    return (losses * counts).sum() / counts.sum()


def counted(labels: torch.Tensor) -> int:
    """Labels of a row that are not to be ignored."""
    return int((labels != -100).sum())


@SIDES
@every_cell(lambda cell: cell.reads)
@torch.no_grad()
def test_rows_of_a_padded_batch(cell: Cell, side: str) -> None:
    both, rows = pair(cell), make_rows(cell, ragged=True)
    batch = collate(rows, side)
    ours = both.ours(**batch)
    for number, row in enumerate(rows):
        alone = collate([row])
        assert_close(row_of(ours, number, batch), row_of(both.oracle(**alone), 0, alone), f"row {number}")


@SIDES
@every_cell(lambda cell: cell.reads and cell.has_loss and not cell.values.get("output_router_logits"))
@torch.no_grad()
def test_loss_of_a_padded_batch(cell: Cell, side: str) -> None:
    both, rows = pair(cell), make_rows(cell, ragged=True)
    rows = merge(rows, make_labels(cell, rows))
    loss = both.ours(**collate(rows, side)).loss
    assert distance(loss, loss_of_rows(both, rows)) < 3e-5


@every_cell(lambda cell: bool(cell.values.get("router_aux_loss_coef")) and cell.task == "causal-lm")
@torch.no_grad()
def test_balance_of_experts_in_a_padded_batch(cell: Cell) -> None:
    both, rows = pair(cell), make_rows(cell, ragged=True)
    rows = merge(rows, make_labels(cell, rows))
    right, left = (both.ours(**collate(rows, side)) for side in ("right", "left"))
    theirs = both.oracle(**collate(rows, "right"))
    assert distance(right.aux_loss, theirs.aux_loss) < 3e-5
    assert distance(right.loss, theirs.loss) < 3e-5
    assert distance(left.loss, theirs.loss) < 3e-5


@SIDES
@every_cell(lambda cell: cell.variant == "plain" and cell.task in BY_TOKEN)
@torch.no_grad()
def test_labels_at_padding_do_not_count(cell: Cell, side: str) -> None:
    both, rows = pair(cell), make_rows(cell, ragged=True)
    batch = collate(merge(rows, make_labels(cell, rows)), side)
    mask = batch.get("decoder_attention_mask", batch["attention_mask"])
    before = both.ours(**batch).loss
    batch["labels"] = batch["labels"].masked_fill(mask == 0, 1)
    assert torch.equal(both.ours(**batch).loss, before)
