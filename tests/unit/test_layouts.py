"""Layouts of stored tensors: loading and saving are inverses."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.layouts import (
    FusedColumns,
    FusedGroups,
    FusedRows,
    Interleaved,
    Reshaped,
    Same,
    Stacked,
    StackedColumns,
    Transposed,
)

sizes = st.integers(1, 5)


@given(rows=sizes, columns=sizes)
def test_same_and_transposed_are_inverses(rows: int, columns: int) -> None:
    stored = torch.randn(rows, columns)
    for layout, shape in ((Same(), (rows, columns)), (Transposed(), (columns, rows))):
        (part,) = layout.load(stored)
        assert part.shape == shape
        assert torch.equal(layout.save([part]), stored)
        assert part.untyped_storage().data_ptr() == stored.untyped_storage().data_ptr()
    vector = torch.randn(rows)
    assert torch.equal(Transposed().save(Transposed().load(vector)), vector)


@given(parts=st.integers(1, 4), inputs=sizes, outputs=sizes)
def test_fused_columns_are_inverses(parts: int, inputs: int, outputs: int) -> None:
    layout = FusedColumns(parts)
    for stored, shape in (
        (torch.randn(inputs, parts * outputs), (outputs, inputs)),
        (torch.randn(parts * outputs), None),
    ):
        loaded = layout.load(stored)
        assert [tuple(part.shape) for part in loaded] == [shape or (outputs,)] * parts
        assert torch.equal(layout.save(loaded), stored)
        assert all(part.untyped_storage().data_ptr() == stored.untyped_storage().data_ptr() for part in loaded)
    first = layout.load(torch.arange(parts * outputs))[0]
    assert first.tolist() == list(range(outputs))


@given(blocks=st.lists(sizes, min_size=1, max_size=4), inputs=sizes)
def test_fused_rows_are_inverses(blocks: list[int], inputs: int) -> None:
    layout = FusedRows(tuple(blocks))
    for stored in (torch.randn(sum(blocks), inputs), torch.randn(sum(blocks))):
        loaded = layout.load(stored)
        assert [len(part) for part in loaded] == blocks
        assert torch.equal(layout.save(loaded), stored)
        assert all(part.untyped_storage().data_ptr() == stored.untyped_storage().data_ptr() for part in loaded)


@given(groups=sizes, queries=sizes, width=sizes, inputs=sizes)
def test_fused_groups_are_inverses(groups: int, queries: int, width: int, inputs: int) -> None:
    layout, count = FusedGroups(width, queries), groups * (queries + 2) * width
    for stored in (torch.randn(count, inputs), torch.randn(count)):
        loaded = layout.load(stored)
        assert [len(part) for part in loaded] == [groups * queries * width, groups * width, groups * width]
        assert torch.equal(layout.save(loaded), stored)
    q, k, v = (part.view(groups, -1).tolist() for part in layout.load(torch.arange(count)))
    for group in range(groups):
        first = group * (queries + 2) * width
        assert q[group] + k[group] + v[group] == list(range(first, first + (queries + 2) * width))


@given(leading=st.integers(0, 3), shape=st.lists(sizes, min_size=1, max_size=3))
@settings(max_examples=40)
def test_reshaped_is_an_inverse(leading: int, shape: list[int]) -> None:
    stored = torch.randn((1,) * leading + tuple(shape))
    layout = Reshaped(leading)
    (part,) = layout.load(stored)
    assert tuple(part.shape) == tuple(shape)
    assert torch.equal(layout.save([part]), stored)


@given(heads=sizes, before=st.integers(0, 3), pairs=st.integers(1, 4), after=st.integers(0, 3), inputs=sizes)
def test_interleaved_is_an_inverse(heads: int, before: int, pairs: int, after: int, inputs: int) -> None:
    width = before + 2 * pairs + after
    layout = Interleaved(width, 2 * pairs, before)
    for stored in (torch.randn(heads * width, inputs), torch.randn(heads * width)):
        (part,) = layout.load(stored)
        assert torch.equal(layout.save([part]), stored)
    (numbers,) = layout.load(torch.arange(heads * width))
    turned = torch.arange(before, before + 2 * pairs)
    for head, found in enumerate(numbers.view(heads, width) - torch.arange(heads)[:, None] * width):
        assert found[:before].tolist() == list(range(before)), head
        assert found[before : before + 2 * pairs].tolist() == [*turned[0::2].tolist(), *turned[1::2].tolist()]
        assert found[before + 2 * pairs :].tolist() == list(range(before + 2 * pairs, width))


@given(experts=sizes, parts=sizes, out=sizes, inputs=sizes)
def test_stacked_experts_are_inverses(experts: int, parts: int, out: int, inputs: int) -> None:
    for stored, shape in (
        (torch.randn(experts, parts * out, inputs), (out, inputs)),
        (torch.randn(experts, parts * out), (out,)),
    ):
        layout = Stacked(parts)
        loaded = layout.load(stored)
        assert [tuple(one.shape) for one in loaded] == [shape] * (parts * experts)
        assert all(one.untyped_storage().data_ptr() == stored.untyped_storage().data_ptr() for one in loaded)
        assert torch.equal(loaded[-1], stored[-1, -out:])
        assert torch.equal(layout.save(loaded), stored)


@given(experts=sizes, parts=sizes, out=sizes, inputs=sizes)
def test_stacked_columns_are_inverses(experts: int, parts: int, out: int, inputs: int) -> None:
    for stored, shape in (
        (torch.randn(experts, inputs, out * parts), (out, inputs)),
        (torch.randn(experts, out * parts), (out,)),
    ):
        layout = StackedColumns(parts)
        loaded = layout.load(stored)
        assert [tuple(one.shape) for one in loaded] == [shape] * (parts * experts)
        assert torch.equal(loaded[-1].t(), stored[-1, ..., parts - 1 :: parts])
        assert torch.equal(layout.save(loaded), stored)
        assert parts > 1 or loaded[0].untyped_storage().data_ptr() == stored.untyped_storage().data_ptr()
    # Tensors that are made from quantised ones come with their columns whole, and are not copied.
    made = torch.randn(experts, out * parts, inputs).transpose(1, 2)
    loaded = StackedColumns(parts).load(made)
    assert torch.equal(loaded[-1], made.transpose(1, 2)[-1, parts - 1 :: parts])
    assert all(one.untyped_storage().data_ptr() == made.untyped_storage().data_ptr() for one in loaded)
