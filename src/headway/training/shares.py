"""What part of its step each batch is, so that the loss of the step is that of all its rows in one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from headway.parallel.replicas import Replicas


@dataclass(frozen=True)
class Share:
    """The part of a batch in its step.

    Attributes:
        totals: labels of the whole step by argument, where the model counts them and gives shares itself.
        count: labels of the batch, or its rows where the model counts none.
        weight: ``count`` as a share of the whole step's.
    """

    totals: Mapping[str, Tensor] | None
    count: int
    weight: Tensor


def counts_of(model: nn.Module, batch: Mapping[str, Any]) -> dict[str, int] | None:
    """The labels of a batch by argument; None for a model that does not count, or a batch without labels."""
    count = getattr(model, "loss_counts", None)
    return (count(**batch) or None) if callable(count) else None


def shares(
    model: nn.Module, batches: Sequence[Mapping[str, Any]], names: Sequence[str], group: Replicas
) -> list[Share]:
    """The shares of the batches that are this process's part of a step.

    Args:
        names: the arguments that carry labels, the same in all processes.
    """
    counts = [counts_of(model, batch) for batch in batches]
    counted = [0 if count is None else 1 for count in counts]
    sums = [sum(count.get(name, 0) for count in counts if count is not None) for name in names]
    own = [
        rows_of(batch) if count is None else sum(count.values()) for batch, count in zip(batches, counts, strict=True)
    ]
    whole = torch.tensor([*sums, sum(own), sum(counted)], dtype=torch.float64)
    if group.world > 1:
        whole = group.sum(whole.to(group.device))
    everything = whole[-2].clamp(min=1).float()
    totals = {name: whole[index].clamp(min=1).float() for index, name in enumerate(names)}
    return [
        Share(totals if is_counted else None, count, count / everything)
        for count, is_counted in zip(own, counted, strict=True)
    ]


def no_share(model: nn.Module, batch: Mapping[str, Any], names: Sequence[str]) -> Share:
    """That of a batch which is passed for company: its loss and gradients are noughts, whatever it holds."""
    none = torch.zeros(())
    if counts_of(model, batch) is None:
        return Share(None, rows_of(batch), none)
    return Share(dict.fromkeys(names, torch.tensor(torch.inf)), 0, none)


def rows_of(batch: Mapping[str, Any]) -> int:
    """Rows of a batch: the first axis of its first tensor."""
    return next((len(value) for value in batch.values() if isinstance(value, Tensor) and value.dim()), 1)
