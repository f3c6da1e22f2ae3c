"""The gradient of every parameter is the oracle's, compared under the hub's names."""

import pytest

from parity.compare import TOLERANCE
from parity.inputs import collate, make_labels, make_rows, merge
from parity.matrix import every_cell
from parity.oracle import Cell, Pair, pair
from parity.test_padding import loss_of_rows


def compare_gradients(both: Pair) -> None:
    ours, theirs = both.our_gradients(), both.their_gradients()
    assert ours
    largest = max(float(tensor.abs().max()) for tensor in theirs.values())
    assert largest > 0
    for name, gradient in ours.items():
        # Some gradients are sums that come to nothing, such as that of a key's bias: there rounding is all there is.
        allowed = TOLERANCE * float(theirs[name].abs().max()) + 3e-6 * largest
        found = float((gradient - theirs[name]).abs().max())
        assert found < allowed, f"{name} differs by {found:.1e}, {found / allowed:.1f} of what is allowed"


@every_cell(lambda cell: cell.has_loss)
def test_gradients(cell: Cell) -> None:
    both, rows = pair(cell), make_rows(cell)
    inputs = collate(merge(rows, make_labels(cell, rows))) | cell.call
    both.ours(**inputs).loss.backward()
    both.oracle(**inputs).loss.backward()
    compare_gradients(both)


@pytest.mark.parametrize("side", ["right", "left"])
@every_cell(lambda cell: cell.reads and cell.has_loss and not cell.values.get("output_router_logits"))
def test_gradients_of_a_padded_batch(cell: Cell, side: str) -> None:
    both, rows = pair(cell), make_rows(cell, ragged=True)
    rows = merge(rows, make_labels(cell, rows))
    both.ours(**collate(rows, side)).loss.backward()
    loss_of_rows(both, rows).backward()
    compare_gradients(both)
