"""Layouts of a batch: packing real tokens and putting them back, positions, and explicit masks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import InputError
from headway.nn.batch import Batch, batch_of
from small import small_model

CPU = torch.device("cpu")


@st.composite
def masks(draw: st.DrawFn) -> torch.Tensor:
    """Masks with a real token or more in each row: anywhere, or padded on one side."""
    rows, width = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    kind = draw(st.sampled_from(["left", "right", "any"]))
    mask = torch.zeros(rows, width, dtype=torch.int64)
    for row in range(rows):
        if kind == "any":
            mask[row, draw(st.lists(st.integers(0, width - 1), min_size=1, unique=True))] = 1
        else:
            count = draw(st.integers(1, width))
            mask[row, :count] = 1
            if kind == "left":
                mask[row] = mask[row].flip(0)
    return mask


def made(mask: torch.Tensor, **options: object) -> Batch:
    return batch_of(*mask.shape, CPU, mask, **options)  # type: ignore[arg-type]


@given(masks())
def test_packing_keeps_the_real_tokens_in_order_and_unpacking_puts_them_back(mask: torch.Tensor) -> None:
    batch = made(mask)
    x = torch.randn(*mask.shape, 3)
    packed = batch.pack(x)
    if bool(mask.all()):
        assert batch.lengths is None
        assert packed is x
        assert batch.unpack(x) is x
        return
    assert batch.lengths == tuple(mask.sum(1).tolist())
    assert torch.equal(packed, x[mask.bool()])
    assert torch.equal(batch.unpack(packed), x * mask[..., None])
    assert torch.equal(batch.pack(batch.unpack(packed)), packed)
    assert torch.equal(batch.nth(packed, 0), torch.stack([row[m.bool()][0] for row, m in zip(x, mask, strict=True)]))
    assert torch.equal(batch.last(packed), torch.stack([row[m.bool()][-1] for row, m in zip(x, mask, strict=True)]))
    left = batch.left_aligned(packed)
    assert left.shape == (len(mask), int(mask.sum(1).max()), 3)
    for row in range(len(mask)):
        real = x[row][mask[row].bool()]
        assert torch.equal(left[row, : len(real)], real)
        assert not bool(left[row, len(real) :].any())
        assert batch.columns(row).tolist() == mask[row].nonzero().flatten().tolist()


@given(masks(), st.integers(0, 3))
def test_a_row_counts_from_its_first_real_token(mask: torch.Tensor, past: int) -> None:
    batch = made(mask, past=past)
    positions = batch.positions.expand_as(mask) if batch.lengths is None else batch.unpack(batch.positions)
    for row in range(len(mask)):
        columns = mask[row].nonzero().flatten()
        assert torch.equal(positions[row][columns], columns - columns[0] + past)


def test_positions_of_rows_with_pasts_of_their_own() -> None:
    batch = Batch(2, 2, CPU, past=(3, 5))
    assert batch.positions.tolist() == [[3, 4], [5, 6]]
    assert not batch.plain
    assert Batch(2, 2, CPU, past=3).plain


def test_positions_that_are_given() -> None:
    given_positions = torch.tensor([[4, 5, 6]])
    assert batch_of(2, 3, CPU, None, given_positions).positions.tolist() == [[4, 5, 6]] * 2
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert batch_of(2, 3, CPU, mask, given_positions).positions.tolist() == [4, 5, 4, 5, 6]


def test_columns_for_cached_tokens_may_stand_in_front() -> None:
    batch = batch_of(2, 2, CPU, torch.tensor([[0, 1, 1, 1], [1, 1, 1, 0]]))
    assert batch.lengths == (2, 1)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32, torch.uint8])
def test_masks_of_any_type(dtype: torch.dtype) -> None:
    assert made(torch.tensor([[1, 0], [1, 1]]).to(dtype)).lengths == (1, 2)
    assert made(torch.ones(2, 2).to(dtype)).lengths is None


@pytest.mark.parametrize("shape", [(2, 3, 3), (2, 1, 3, 3), (1, 1, 3, 3), (2, 1, 1, 3), (2, 4, 3, 3)])
def test_explicit_masks(shape: tuple[int, ...]) -> None:
    model = small_model("bert")
    ids = torch.tensor([[5, 6, 7], [8, 9, 2]])
    full = model(input_ids=ids)[0]
    for mask in (torch.ones(shape, dtype=torch.bool), torch.ones(shape, dtype=torch.int64), torch.zeros(shape)):
        assert torch.allclose(model(input_ids=ids, attention_mask=mask)[0], full, atol=1e-6)
    seen = torch.ones(shape, dtype=torch.bool)
    seen[..., 2] = False
    hidden = model(input_ids=ids, attention_mask=seen)[0]
    shorter = model(input_ids=ids[:, :2])[0]
    assert torch.allclose(hidden[:, :2], shorter, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 3, 3), (2, 1, 3, 2), (2, 1, 2, 3), (3, 1, 3, 3)])
def test_explicit_masks_that_do_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="attention_mask"):
        batch_of(2, 3, CPU, torch.ones(shape))
