"""Position vectors that are added to those of the tokens: learned ones and computed ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway import spec
from headway.errors import InputError
from headway.nn.batch import Batch, Padded
from headway.nn.builders import builds
from headway.nn.linear import Embedding


@builds(spec.Learned)
class Learned(Embedding):
    """A table with a row for each position."""

    def __init__(self, learned: spec.Learned, width: int) -> None:
        super().__init__(learned.count, width)
        self.offset = learned.offset

    def vectors(self, batch: Batch, like: Tensor) -> Tensor:
        """The vectors of the batch's tokens, ``[..., channels]`` in its layout."""
        room = self.num_embeddings - self.offset
        if batch.plain and isinstance(batch.past, int):
            end = batch.past + batch.width
            if end > room:
                raise too_long(end, room)
            return self.weight[self.offset + batch.past : self.offset + end]
        if not isinstance(batch, Padded) and (longest := count_of(batch)) > room:
            raise too_long(longest, room)
        return F.embedding(batch.positions + self.offset, self.weight)


@builds(spec.Sinusoidal)
class Sinusoidal(nn.Module):
    """Sines and cosines, from a table that grows with the longest row seen."""

    def __init__(self, sinusoidal: spec.Sinusoidal, width: int) -> None:
        super().__init__()
        self.offset, self.theta, self.width = sinusoidal.offset, sinusoidal.theta, width
        self._tables: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def vectors(self, batch: Batch, like: Tensor) -> Tensor:
        """The vectors of the batch's tokens, ``[..., channels]`` in its layout, in the dtype of ``like``."""
        if batch.plain and isinstance(batch.past, int):
            start, end = self.offset + batch.past, self.offset + batch.past + batch.width
            return self._table(end, like)[start:end]
        if isinstance(batch, Padded):
            return self._vectors(batch.positions + self.offset).to(like.dtype)
        return F.embedding(batch.positions + self.offset, self._table(self.offset + count_of(batch), like))

    def _vectors(self, places: Tensor) -> Tensor:
        """``[..., channels]`` in double precision: single precision loses the angles of far positions."""
        steps = torch.arange(0, self.width, 2, dtype=torch.float64, device=places.device)
        angles = places.double()[..., None] * self.theta ** -(steps / self.width)
        return torch.cat((angles.sin(), angles.cos()), -1)[..., : self.width]

    @torch.inference_mode(False)  # a table outlives the pass, and may be of use in training
    def _table(self, count: int, like: Tensor) -> Tensor:
        """``count`` rows or more; room doubles, so that decoding seldom computes anew."""
        key = (like.device, like.dtype)
        table = self._tables.get(key)
        if table is None or len(table) < count:
            rows = max(64, 1 << (count - 1).bit_length())
            table = self._vectors(torch.arange(rows)).to(like.device, like.dtype)
            self._tables[key] = table
        return table


def count_of(batch: Batch) -> int:
    """Positions up to the batch's last."""
    first, last = int(batch.positions.min()), int(batch.positions.max())
    if first < 0:
        raise InputError(f"position_ids holds {first}, but positions start at 0.")
    return last + 1


def too_long(count: int, room: int) -> InputError:
    """The error for a row of ``count`` tokens where a model has ``room`` positions."""
    return InputError(
        f"The input has {count} tokens, but this model has positions for {room}; shorten it with truncation=True and "
        f"max_length={room} in the tokenizer."
    )
