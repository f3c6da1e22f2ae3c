"""Rotary positions and the ways to stretch them."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from headway import spec
from headway.nn.batch import Padded
from headway.nn.builders import builds
from headway.nn.run import Run

Turn = tuple[Tensor, Tensor]


def rotate(x: Tensor, turn: Turn) -> Tensor:
    """Turn the first channels of ``x [..., heads, head_width]`` by ``turn``, whose sines carry their sign."""
    cos, sin = turn
    width = cos.shape[-1]
    part = x if x.shape[-1] == width else x[..., :width]
    turned = torch.addcmul(part * cos, part.roll(width // 2, -1), sin)
    return turned if part is x else torch.cat((turned, x[..., width:]), -1)


@builds(spec.Rotary)
class Rotary(nn.Module):
    """Cosines and sines for the positions of a batch, from a table that grows with the longest seen."""

    def __init__(self, rotary: spec.Rotary) -> None:
        super().__init__()
        self.rotary = rotary
        self._tables: dict[tuple[object, ...], Turn] = {}

    def prepare(self, run: Run, like: Tensor) -> Turn:
        """``(cos, sin)`` of the run's tokens, ``[..., 1, width]`` in the dtype of ``like``."""
        batch = run.batch
        if batch.plain and isinstance(batch.past, int):
            start, end = batch.past, batch.past + batch.width
            cos, sin = self._table(end, like)
            return cos[start:end], sin[start:end]
        positions = batch.positions
        if isinstance(batch, Padded):
            frequencies, factor = self._row_frequencies(positions.amax(1) + 1)
            return _turn(positions.float()[..., None] * frequencies.to(positions.device), factor, like)
        if not isinstance(self.rotary.scaling, spec.RopeDynamic | spec.RopeLong):
            cos, sin = self._table(int(positions.max()) + 1, like)
            return cos[positions], sin[positions]
        # Here frequencies follow the length: each row has those that it would have alone.
        rows = positions.unbind() if batch.lengths is None else positions.split(batch.lengths)
        tables = [self._table(int(row.max()) + 1, like) for row in rows]
        join = torch.stack if batch.lengths is None else torch.cat
        cos, sin = (join([table[i][row] for table, row in zip(tables, rows, strict=True)]) for i in (0, 1))
        return cos, sin

    def _frequencies(self, count: int) -> tuple[Tensor, float]:
        return rope_frequencies(self.rotary, count)

    def _row_frequencies(self, counts: Tensor) -> tuple[Tensor, float]:
        """Frequencies ``[width / 2]``, or ``[rows, 1, width / 2]`` where each row's follow its length in ``counts``."""
        counts, theta, width = counts[:, None, None], self.rotary.theta, self.rotary.width
        match self.rotary.scaling:
            case spec.RopeLong(_, _, original, factor):
                short, long = (self._frequencies(count)[0].to(counts.device) for count in (original, original + 1))
                return torch.where(counts > original, long, short), factor
            case spec.RopeDynamic(factor, original):
                stretch = factor * counts.clamp(min=original) / original - (factor - 1)
                steps = torch.arange(0, width, 2, dtype=torch.float32, device=counts.device)
                return (theta * stretch ** (width / (width - 2))) ** -(steps / width), 1.0
        return self._frequencies(0)

    @torch.inference_mode(False)  # a table outlives the pass, and may be of use in training
    def _table(self, count: int, like: Tensor) -> Turn:
        """``count`` rows or more; room doubles, so that decoding seldom computes anew."""
        key = (like.device, like.dtype, _regime(self.rotary, count))
        table = self._tables.get(key)
        if table is None or table[0].shape[0] < count:
            frequencies, factor = self._frequencies(count)
            rows = max(64, 1 << (count - 1).bit_length())
            angles = torch.outer(torch.arange(rows, dtype=torch.float32), frequencies)
            table = _turn(angles, factor, like)
            if isinstance(self.rotary.scaling, spec.RopeDynamic):
                self._tables.clear()  # each length has its own: keep the last
            self._tables[key] = table
        return table


@builds(spec.StoredRotary)
class StoredRotary(Rotary):
    """``Rotary`` with frequencies of its own; where no file gives them, those that are computed."""

    float32: ClassVar[tuple[str, ...]] = ("frequencies",)

    def __init__(self, rotary: spec.StoredRotary) -> None:
        super().__init__(rotary)
        self.frequencies: Tensor
        self.register_buffer("frequencies", rope_frequencies(rotary, 0)[0])

    def _frequencies(self, count: int) -> tuple[Tensor, float]:
        return self.frequencies.to("cpu", torch.float32), 1.0


def _turn(angles: Tensor, factor: float, like: Tensor) -> Turn:
    """The cosines and sines ``[..., 1, width]`` of ``angles [..., width / 2]``."""
    cos, sin = angles.cos() * factor, angles.sin() * factor
    return (
        torch.cat((cos, cos), -1)[..., None, :].to(like.device, like.dtype),
        torch.cat((-sin, sin), -1)[..., None, :].to(like.device, like.dtype),
    )


def _regime(rotary: spec.Rotary, count: int) -> object:
    """What the frequencies depend on besides the spec: sequences of one regime share a table."""
    match rotary.scaling:
        case spec.RopeDynamic(_, original):
            return max(count, original)
        case spec.RopeLong(_, _, original, _):
            return count > original
    return None


def rope_frequencies(rotary: spec.Rotary, count: int) -> tuple[Tensor, float]:
    """Angular frequency of each channel pair ``[width / 2]`` for ``count`` positions, and the factor on cos and sin."""
    width, theta = rotary.width, rotary.theta
    plain = theta ** -(torch.arange(0, width, 2, dtype=torch.float32) / width)
    match rotary.scaling:
        case None:
            return plain, 1.0
        case spec.RopeLinear(factor):
            return plain / factor, 1.0
        case spec.RopeDynamic(factor, original):
            stretch = factor * max(count, original) / original - (factor - 1)
            grown = theta * stretch ** (width / (width - 2))
            return grown ** -(torch.arange(0, width, 2, dtype=torch.float32) / width), 1.0
        case spec.RopeLong(short, long, original, attention_factor):
            return plain / torch.tensor(long if count > original else short), attention_factor
        case spec.RopeLlama3() as scaling:
            return _llama3(plain, scaling), 1.0
        case spec.RopeYarn() as scaling:
            return _yarn(theta, width, plain, scaling), _yarn_factor(scaling)


def _llama3(plain: Tensor, scaling: spec.RopeLlama3) -> Tensor:
    turns = scaling.original * plain / (2 * math.pi)
    blend = ((turns - scaling.low) / (scaling.high - scaling.low)).clamp(0, 1)
    return plain * (blend + (1 - blend) / scaling.factor)


def _yarn(theta: float, width: int, plain: Tensor, scaling: spec.RopeYarn) -> Tensor:
    def channel(turns: float) -> float:
        """The channel pair that turns ``turns`` times within the original length."""
        return width * math.log(scaling.original / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low, high = channel(scaling.beta_fast), channel(scaling.beta_slow)
    if scaling.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, width - 1)
    ramp = ((torch.arange(width // 2, dtype=torch.float32) - low) / max(high - low, 0.001)).clamp(0, 1)
    return plain * (1 - ramp) + plain / scaling.factor * ramp


def _yarn_factor(scaling: spec.RopeYarn) -> float:
    if scaling.attention_factor is not None:
        return scaling.attention_factor
    if scaling.mscale and scaling.mscale_all_dim:
        return scaling.magnitude(scaling.mscale) / scaling.magnitude(scaling.mscale_all_dim)
    return scaling.magnitude(1.0)
