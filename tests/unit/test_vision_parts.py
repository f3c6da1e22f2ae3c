"""Poolers, reads and scaled layers: packed rows are what each row is alone; and what only training does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import headway
from headway import spec
from headway.errors import ConfigError, InputError
from headway.nn.batch import Batch, batch_of
from headway.nn.builders import build
from headway.nn.kernels import eager, sdpa
from headway.nn.reading import gather
from headway.nn.run import Run
from small import small_model

CPU = torch.device("cpu")
NORM = spec.LayerNorm(1e-5)
LENGTHS = (5, 2, 4)
IDS = torch.tensor([[7, 3, 9, 4, 9], [9, 3, 0, 0, 0], [1, 3, 2, 9, 0]])
READS = [
    spec.FirstToken(),
    spec.LastToken(),
    spec.NthToken(1),
    spec.Mean(),
    spec.Mean(1),
    spec.Joined((spec.FirstToken(), spec.Mean(1))),
    spec.FirstOf(3),
    spec.HighestId(),
]


def drawn(module: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module


def padded(side: str) -> tuple[Batch, Tensor, Tensor]:
    """A packed batch with its states ``[tokens, 8]`` and ids ``[rows, width]``."""
    mask = torch.tensor([[1] * count + [0] * (5 - count) for count in LENGTHS])
    ids = IDS.clone()
    if side == "left":
        mask, ids = mask.flip(1), torch.stack([row.roll(5 - count) for row, count in zip(IDS, LENGTHS, strict=True)])
    return batch_of(3, 5, CPU, mask), torch.randn(sum(LENGTHS), 8), ids


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", READS, ids=str)
def test_reads_of_packed_rows(kind: spec.Read, side: str) -> None:
    batch, x, ids = padded(side)
    together = gather(kind, x, batch, ids)
    for row, (states, count) in enumerate(zip(x.split(LENGTHS), LENGTHS, strict=True)):
        alone = gather(kind, states[None], Batch(1, count, CPU), IDS[row : row + 1, :count])
        assert torch.allclose(together[row], alone[0], atol=1e-6)


def test_what_reads_name() -> None:
    x = torch.randn(1, 5, 8)
    batch = Batch(1, 5, CPU)
    assert torch.equal(gather(spec.HighestId(), x, batch, IDS[:1]), x[:, 2])
    assert torch.equal(gather(spec.FirstOf(9), x, batch, IDS[:1]), x[:, 2])
    assert torch.equal(gather(spec.Mean(2), x, batch), x[:, 2:].mean(1))
    with pytest.raises(InputError, match="Row 0 of input_ids has no token 8"):
        gather(spec.FirstOf(8), x, batch, IDS[:1])


@pytest.mark.parametrize("kernel", [eager, sdpa])
def test_a_probe_sees_the_real_positions(kernel: object) -> None:
    pooler = drawn(build(spec.ProbePooler(8, 2, spec.Mlp(6, "gelu"), NORM), 8))
    batch, x, _ = padded("right")
    together = pooler(x, Run(batch, kernel))  # type: ignore[arg-type]
    for row, states in enumerate(x.split(LENGTHS)):
        alone = pooler(states[None], Run(Batch(1, len(states), CPU), kernel))  # type: ignore[arg-type]
        assert torch.allclose(together[row], alone[0], atol=1e-5)


@pytest.mark.parametrize("side", [None, "right"])
def test_rows_skip_parts_while_training(side: str | None) -> None:
    layer = spec.Layer(spec.Attention(2, 4), spec.Mlp(6, "gelu"), spec.ScaledPreNorm(NORM, 0.1, skip=0.5))
    module = drawn(build(layer, 8, ()))
    batch, x, _ = padded("right")
    if side is None:
        batch, x = Batch(3, 4, CPU), torch.randn(3, 4, 8)
    run = Run(batch, sdpa)
    torch.manual_seed(1)
    parts = {tuple(module.skipped(torch.ones_like(x), run).flatten(1).unique().tolist()) for _ in range(20)}
    assert parts == {(0.0,), (0.0, 2.0), (2.0,)}, "a row's part is left out, or made up for"
    for row in batch.unpack(module.skipped(torch.ones_like(x), run)):
        assert len(row.unique()) <= (1 if side is None else 2), "a row is skipped as a whole"
    module.eval()
    assert torch.equal(module.skipped(x, run), x)


def test_scales_start_from_what_the_config_says() -> None:
    model = small_model("beit")
    assert headway.BeitModel(model.config).backbone.layers[1].mlp_scale.weight.unique().tolist() == pytest.approx([0.1])
    clip = headway.CLIPModel(small_model("clip").config)
    assert float(clip.head.scale.weight.detach()) == pytest.approx(2.6592)


def test_beit_has_one_table_or_one_a_layer() -> None:
    with pytest.raises(ConfigError, match="set one of the two to False"):
        small_model("beit", use_relative_position_bias=True, use_shared_relative_position_bias=True)
    shared, own = (small_model("beit", **{f"use_{x}relative_position_bias": True}) for x in ("shared_", ""))
    assert (len(shared.backbone.positions), len(own.backbone.positions)) == (1, 2)


def test_hidden_patches_are_counted() -> None:
    pixels = torch.zeros(2, 3, 8, 8)
    with pytest.raises(InputError, match=r"bool_masked_pos to have shape \[2, 4\], got \[2, 3\]"):
        small_model("dinov2")(pixels, bool_masked_pos=torch.zeros(2, 3))
    with pytest.raises(InputError, match="no mask token"):
        small_model("vit")(pixels, bool_masked_pos=torch.zeros(2, 4))
