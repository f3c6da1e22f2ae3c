"""Several optimizers as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer


class Together(Optimizer):
    """Optimizers over parameters of their own that step, are scheduled, saved and loaded as one.

    The groups are those of the parts one after another, the state is one for all, so ``state_dict`` looks like that of
    any optimizer.
    """

    def __init__(self, *parts: Optimizer) -> None:
        self.parts: Sequence[Optimizer] = parts
        self._counts = [len(part.param_groups) for part in parts]
        super().__init__([group for part in parts for group in part.param_groups], dict(parts[0].defaults))
        self._share()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over groups and state, as ``load_state_dict`` asks for it."""
        super().__setstate__(state)
        self._share()

    def _share(self) -> None:
        start = 0
        for part, count in zip(self.parts, self._counts, strict=True):
            part.state, part.param_groups = self.state, self.param_groups[start : start + count]
            start += count

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of each part."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss
