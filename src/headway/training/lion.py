"""The optimizer Lion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer

from headway.errors import InputError


class Lion(Optimizer):
    """Steps of one size along the sign of a momentum (Chen et al. 2023, arXiv:2302.06675, algorithm 2).

    Every number moves by the learning rate, so this is to be three to ten times smaller than AdamW's, and the weight
    decay as much larger. The state is one tensor for each parameter.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        betas: how much of the momentum is in a step, and how much stays of it.
        weight_decay: decoupled, times ``lr``.

    Raises:
        InputError: a number is out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        if lr < 0 or weight_decay < 0 or not all(0 <= beta < 1 for beta in betas):
            raise InputError(
                f"Lion takes betas of 0 or more and below 1, lr and weight_decay of 0 or more, not betas={betas}, "
                f"lr={lr}, weight_decay={weight_decay}."
            )
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            gradients = [p.grad for p in parameters]
            momenta = [self._momentum(p) for p in parameters]
            first, second = group["betas"]
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            signs = torch._foreach_lerp(momenta, gradients, 1 - first)
            torch._foreach_sign_(signs)
            torch._foreach_add_(parameters, signs, alpha=-group["lr"])
            torch._foreach_lerp_(momenta, gradients, 1 - second)
        return loss

    def _momentum(self, parameter: torch.Tensor) -> torch.Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        found: torch.Tensor = state["momentum"]
        return found
