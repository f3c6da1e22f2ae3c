"""Batches that keep their padding, as traced graphs do, come to what packed ones do."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from headway import spec
from headway.errors import InputError
from headway.nn.batch import batch_of, padding_kept
from headway.nn.builders import build
from headway.nn.kernels import sdpa
from headway.nn.run import Run
from headway.registry import families
from small import PAIRS, inputs_for, small_model


def padded_inputs(model: Any) -> dict[str, torch.Tensor]:
    """Three rows: whole, padded in front, padded on both sides."""
    inputs = inputs_for(model, rows=3, width=9)
    ids = inputs["input_ids"]
    mask = torch.ones_like(ids)
    mask[1, ..., :3] = 0
    mask[2, ..., :1] = 0
    mask[2, ..., -2:] = 0
    ids[2, ..., -3] = 2
    return {**inputs, "attention_mask": mask}


def reads_text(name: str, task: str) -> bool:
    config = families()[name].config()
    return task != "image-classification" and not isinstance(families()[name].architecture(config), spec.VisionEncoder)


@pytest.mark.parametrize(("name", "task"), [pair for pair in PAIRS if reads_text(*pair)])
@torch.inference_mode()
def test_every_head_gives_what_it_gives_of_a_packed_batch(name: str, task: str) -> None:
    model = small_model(name, task)
    inputs = padded_inputs(model)
    packed = model(**inputs)
    with padding_kept():
        kept = model(**inputs)
    for field, value in packed.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(kept[field], value, rtol=1e-4, atol=2e-5, msg=field)


SCALINGS = [
    spec.RopeLinear(2.0),
    spec.RopeDynamic(2.0, 5),
    spec.RopeLong((1.0, 2.0), (3.0, 4.0), 6, 1.2),
    spec.RopeLlama3(8.0, 1.0, 4.0, 8),
    spec.RopeYarn(4.0, 8),
]


@pytest.mark.parametrize("scaling", SCALINGS, ids=lambda scaling: type(scaling).__name__)
def test_rotary_positions_stretch_as_they_do_in_packed_batches(scaling: Any) -> None:
    rotary = build(spec.Rotary(4, 10000.0, scaling))
    mask = torch.tensor([[1] * 8, [0] * 4 + [1] * 4, [0, 1, 1, 1, 1, 0, 0, 0]])
    like = torch.zeros(())
    packed = batch_of(3, 8, like.device, mask)
    with padding_kept():
        kept = batch_of(3, 8, like.device, mask)
    for one, other in zip(rotary.prepare(Run(packed, sdpa), like), rotary.prepare(Run(kept, sdpa), like), strict=True):
        torch.testing.assert_close(other[mask.bool()], one)


def test_a_mask_covers_the_past_too() -> None:
    with padding_kept():
        batch = batch_of(2, 2, torch.device("cpu"), torch.tensor([[0, 1, 1, 1, 1], [1, 1, 1, 1, 1]]), past=3)
        assert batch.positions.tolist() == [[2, 3], [3, 4]]
        with pytest.raises(InputError, match=r"shape \[2, 5\], got \[2, 2\]"):
            batch_of(2, 2, torch.device("cpu"), torch.ones(2, 2), past=3)


def test_reads_find_real_tokens() -> None:
    x = torch.arange(12.0).view(2, 6, 1)
    mask = torch.tensor([[0, 0, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]])
    with padding_kept():
        batch = batch_of(2, 6, x.device, mask)
    assert batch.nth(x, 1).flatten().tolist() == [3, 7]
    assert batch.last(x).flatten().tolist() == [4, 11]
    assert batch.mean(x, skip=1).flatten().tolist() == [3.5, 9]
    assert batch.unpack(x)[0].flatten().tolist() == [0, 0, 2, 3, 4, 0]
