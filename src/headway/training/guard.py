"""Where a number that is not finite began."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from headway.errors import NonFiniteError


def non_finite(
    model: nn.Module, batches: Iterable[Mapping[str, Any]], loss: float, norm: float, steps: int
) -> NonFiniteError:
    """The error of a step behind ``steps`` others, of which ``batches`` are this process's part."""
    return NonFiniteError(
        f"Step {steps + 1}: the loss is {loss} and the norm of the gradients {norm}; {origin(model, batches)}. "
        "A smaller learning_rate or max_grad_norm may help; nan_guard='skip' leaves such steps out."
    )


def origin(model: nn.Module, batches: Iterable[Mapping[str, Any]]) -> str:
    """Say where the first number that is not finite comes from: a weight, a module of a pass, or a gradient.

    All batches are passed in any case, since other processes may pass along.
    """
    parameters = list(model.named_parameters())
    weights = [name for name, one in parameters if not _finite(one)]
    gradients = [name for name, one in parameters if one.grad is not None and not _finite(one.grad)]
    passes = []
    for batch in batches:
        inputs = [name for name, value in batch.items() if isinstance(value, Tensor) and not _finite(value)]
        passes += [f"the input {name} holds such a number" for name in inputs]
        module = _first_module(model, batch)
        if module:
            passes.append(f"the first such number is in the output of {module}")
    if weights:
        return f"the weight {weights[0]} holds such a number already"
    if passes:
        return passes[0]
    if gradients:
        return f"the passes are finite, but the gradient of {gradients[0]} is not"
    return "the passes are finite when they are run again, so it depends on what was drawn"


def _first_module(model: nn.Module, batch: Mapping[str, Any]) -> str:
    """The first module whose output is not finite in a pass over ``batch``, innermost first."""
    found: list[str] = []

    def watch(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not found and not all(map(_finite, _tensors(output))):
                found.append(f"{name or 'the model'} ({type(module).__name__})")

        return hook

    hooks = [module.register_forward_hook(watch(name)) for name, module in model.named_modules()]
    try:
        with torch.no_grad():
            model(**batch)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else ""


def _tensors(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(item)


def _finite(value: Tensor) -> bool:
    held = value.to_local() if hasattr(value, "to_local") else value  # this process's share
    return not held.is_floating_point() or bool(held.isfinite().all())
