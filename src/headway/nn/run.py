"""What one pass through a stack carries along: layout, cache, memory, kernel, and what is recorded on the way."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from headway.nn.batch import Batch
from headway.nn.cache import Cache
from headway.nn.kernels import Kernel


@dataclass
class Trace:
    """What the caller asked to see; a field that is None is not recorded."""

    hidden: list[Tensor] | None = None
    attentions: list[Tensor] | None = None
    cross: list[Tensor] | None = None
    router: list[Tensor] | None = None

    def emptied(self) -> Trace:
        """A trace that records the same, and holds nothing."""
        return Trace(*([] if records is not None else None for records in vars(self).values()))


@dataclass(frozen=True)
class Wants:
    """What a call asks to see."""

    attentions: bool = False
    hidden: bool = False
    router: bool = False


@dataclass
class Memory:
    """The states that a decoder looks at, in the layout of ``batch``."""

    states: Tensor
    batch: Batch

    def select(self, rows: Tensor) -> Memory:
        """The memory of ``rows``, indices into its rows."""
        batch, states = self.batch, self.states
        if batch.lengths is None or batch.keep is None:
            return Memory(states[rows], Batch(len(rows), batch.width, batch.device))
        pieces = states.split(batch.lengths)
        keep = batch.keep[rows]
        packed = Batch(len(rows), batch.width, batch.device, keep)
        return Memory(torch.cat([pieces[row] for row in rows.tolist()]), packed)

    def join(self, other: Memory) -> Memory:
        """A memory with the rows of ``other`` behind these."""
        one, two = self.batch, other.batch
        rows, width = one.rows + two.rows, max(one.width, two.width)
        if one.lengths is None and two.lengths is None and one.width == two.width:
            return Memory(torch.cat((self.states, other.states)), Batch(rows, width, one.device))
        keeps = [F.pad(memory._real, (0, width - memory.batch.width)) for memory in (self, other)]
        packed = [m.states.flatten(0, 1) if m.batch.keep is None else m.states for m in (self, other)]
        return Memory(torch.cat(packed), Batch(rows, width, one.device, torch.cat(keeps)))

    @property
    def _real(self) -> Tensor:
        """Boolean ``[rows, width]``: where there are states."""
        batch = self.batch
        if batch.keep is not None:
            return batch.keep
        return torch.ones(batch.rows, batch.width, dtype=torch.bool, device=batch.device)


class Run:
    """The state of one pass; made by the backbone, changed only by the stack that runs it.

    No dataclass: torch's sharding looks for tensors in those that a layer is given and hands on copies, but all layers
    are to have this one.
    """

    def __init__(
        self,
        batch: Batch,
        kernel: Kernel,
        cache: Cache | None = None,
        memory: Memory | None = None,
        trace: Trace | None = None,
    ) -> None:
        self.batch, self.kernel, self.cache, self.memory = batch, kernel, cache, memory
        self.trace = Trace() if trace is None else trace
        self.grid: tuple[int, int] | None = None
        self.step = 0
        self.positions: tuple[Any, ...] = ()
        self.masks: dict[Any, Any] = {}
        self.own_masks: tuple[Any, dict[Any, Any]] | None = None

    def again(self) -> Run:
        """A run for the same pass, which starts from what is here and leaves nothing here."""
        run = copy(self)
        run.masks, run.positions = dict(self.masks), tuple(map(copy, self.positions))
        run.trace = self.trace.emptied()
        return run
