"""Processes that each hold the whole model and a share of every step's rows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

from headway.errors import InputError

# Bytes that are summed in one go.
_BUCKET = 25 * 2**20


@dataclass(frozen=True)
class Replicas:
    """The processes that train together, and the place of this one among them.

    The loss of a pass is its share of the whole step's, so gradients are summed and not averaged. Nothing wraps the
    model: it keeps its class and the names of its parameters, and a process without a row joins in with nothing.
    """

    rank: int
    local_rank: int
    world: int
    device: torch.device

    def sum(self, values: Tensor) -> Tensor:
        """``values`` of all processes added up, in place; on this process's device."""
        if self.world > 1:
            distributed.all_reduce(values)
        return values

    def gather(self, value: Any) -> list[Any]:
        """The ``value`` of every process, by rank."""
        found = [value] * self.world
        if self.world > 1:
            distributed.all_gather_object(found, value)
        return found

    def wait(self) -> None:
        """Go on when all are here."""
        if self.world > 1:
            self.sum(torch.zeros(1, device=self.device))

    def place(self, model: nn.Module) -> nn.Module:
        """The model on this process's device."""
        return model.to(self.device)

    def share_weights(self, model: nn.Module) -> None:
        """Let all processes have the parameters and buffers of the first."""
        if self.world > 1:
            for tensor in model.state_dict().values():
                whole = tensor.to(self.device).contiguous()
                distributed.broadcast(whole, 0)
                tensor.copy_(whole)

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Add up the gradients of all processes; where one has none, it is nought.

        Gradients of one type lie side by side while they travel, in pieces that follow one another on the wire.
        """
        if self.world == 1:
            return
        parameters = list(parameters)
        has = torch.tensor([parameter.grad is not None for parameter in parameters], device=self.device).int()
        used = [parameter for parameter, count in zip(parameters, self.sum(has).tolist(), strict=True) if count]
        for parameter in used:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        sent = []
        for bucket in _buckets([parameter.grad for parameter in used if parameter.grad is not None]):
            flat = torch.cat([gradient.flatten() for gradient in bucket])
            sent.append((bucket, flat, distributed.all_reduce(flat, async_op=True)))
        for bucket, flat, work in sent:
            work.wait()
            for gradient, summed in zip(bucket, flat.split([one.numel() for one in bucket]), strict=True):
                gradient.copy_(summed.view(gradient.shape))

    # --- what differs where processes hold shares of the model ------------------------------------------------------

    def norm(self, gradients: Sequence[Tensor]) -> Tensor:
        """The norm of all gradients together."""
        return nn.utils.get_total_norm(gradients)

    def company(self, batches: Sequence[Mapping[str, Any] | None]) -> list[Mapping[str, Any]]:
        """Batches that this process is to pass besides its own, ``batches``, though they count for nothing."""
        return []

    def share(self, value: Tensor, tensor: Tensor) -> Tensor:
        """What this process holds of ``value`` where it is to take the place of ``tensor``."""
        return value

    def whole_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """An optimizer's state as one process alone would have it; all processes are to ask."""
        return state

    def whole(self, model: nn.Module) -> AbstractContextManager[None]:
        """Within, the first process can save ``model``; all processes are to ask."""
        return nullcontext()


def _buckets(gradients: list[Tensor]) -> list[list[Tensor]]:
    found: list[list[Tensor]] = []
    room, kind = 0, None
    for gradient in gradients:
        room -= gradient.nbytes
        if room < 0 or gradient.dtype != kind:
            found.append([])
            room, kind = _BUCKET - gradient.nbytes, gradient.dtype
        found[-1].append(gradient)
    return found


def connect(use_cpu: bool = False, backend: str | None = None, timeout: float = 1800) -> Replicas:
    """The processes that torchrun started together with this one, or this one alone.

    Args:
        use_cpu: compute on the CPU even where there is a GPU.
        backend: "gloo" or "nccl"; by the device where it is not given.
        timeout: seconds after which a process that others wait for is taken to be lost.

    Raises:
        InputError: torchrun's variables are not whole numbers.
    """
    try:
        rank, world, local = (
            int(os.environ.get(name, default))
            for name, default in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))
        )
    except ValueError as error:
        raise InputError("RANK, WORLD_SIZE and LOCAL_RANK must be whole numbers, as torchrun sets them.") from error
    device = _device(use_cpu, local)
    if distributed.is_initialized():
        return Replicas(distributed.get_rank(), local, distributed.get_world_size(), device)
    if world > 1:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        kind = backend or ("nccl" if device.type == "cuda" else "gloo")
        distributed.init_process_group(kind, timeout=timedelta(seconds=timeout), rank=rank, world_size=world)
    return Replicas(rank, local, world, device)


def _device(use_cpu: bool, local: int) -> torch.device:
    if use_cpu:
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda", local if "LOCAL_RANK" in os.environ else torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
