"""Processes that each hold a share of every parameter, of its gradient and of what the optimizer keeps of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from headway.errors import InputError
from headway.nn.stack import Stack
from headway.parallel.replicas import Replicas


@dataclass(frozen=True)
class Shards(Replicas):
    """The processes among which a model is cut (Zhao et al. 2023, arXiv:2304.11277; torch's ``fully_shard``).

    Each layer of the model's stacks is a unit, which is whole while it computes, and what stands around the layers is
    another. Processes pass together, since a unit is put together of the shares of all: one without rows passes a
    batch of another's for company.

    Attributes:
        reshard: take the units apart between the forward and the backward pass.
        dtype: the type in which units are put together, where it is not their own; gradients travel in float32.
    """

    reshard: bool = True
    dtype: torch.dtype | None = None

    def place(self, model: nn.Module) -> nn.Module:
        """Give all processes the weights of the first, and keep this process's share of them on its device.

        Numbers by themselves are not cut. Steps are to be taken over the parameters that the model has then.

        Raises:
            InputError: this torch is too old.
        """
        if isinstance(model, FSDPModule):
            return model
        if not hasattr(FSDPModule, "set_force_sum_reduction_for_comms"):
            raise InputError(f"fsdp needs a newer torch than {torch.__version__}; without it processes hold replicas.")
        was_training = model.training
        model.train().train(was_training)  # weights lie as they are trained
        super().share_weights(model)
        numbers = {parameter for parameter in model.parameters() if parameter.dim() == 0}
        for number in numbers:
            number.data = number.data.to(self.device)
        # Inputs stay as they are: counts of labels are among them. What the model returns, nobody changes in place.
        policy = MixedPrecisionPolicy(param_dtype=self.dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
        warnings.filterwarnings("ignore", "FSDP2-wrapped module", UserWarning)
        mesh = init_device_mesh(self.device.type, (self.world,))
        for module in [*_layers(model), model]:
            unit = fully_shard(
                module, mesh=mesh, reshard_after_forward=self.reshard, mp_policy=policy, ignored_params=numbers
            )
            unit.set_gradient_divide_factor(1.0)
            unit.set_force_sum_reduction_for_comms(True)
            # Messages and configs name the class that it was.
            type(module).__name__ = type(module).__name__.removeprefix("FSDP")
        return model

    def share_weights(self, model: nn.Module) -> None:
        """Let the model have its shares as parameters, also where it was run last."""
        for unit in _units(model):
            unit.reshard()

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Add up the gradients of what is not cut; the others are summed in the backward pass."""
        super().sum_gradients([parameter for parameter in parameters if not isinstance(parameter, DTensor)])

    def norm(self, gradients: Sequence[Tensor]) -> Tensor:
        """The norm of all gradients, those of other processes too."""
        cut = nn.utils.get_total_norm([one for one in gradients if isinstance(one, DTensor)])
        rest = nn.utils.get_total_norm([one for one in gradients if not isinstance(one, DTensor)])
        whole = cut.full_tensor() if isinstance(cut, DTensor) else cut
        return nn.utils.get_total_norm([whole, rest.to(whole.device)])

    def company(self, batches: Sequence[Mapping[str, Any] | None]) -> list[Mapping[str, Any]]:
        """A batch of another process for each that is None here."""
        missing = sum(batch is None for batch in batches)
        if not int(self.sum(torch.tensor(missing, device=self.device))):
            return []
        found = self.gather(next((batch for batch in batches if batch is not None), None))
        return [next(batch for batch in found if batch is not None)] * missing

    def share(self, value: Tensor, tensor: Tensor) -> Tensor:
        """This process's share of ``value``, cut as ``tensor`` is."""
        if not isinstance(tensor, DTensor):
            return value
        return distribute_tensor(value.to(tensor.device), tensor.device_mesh, tensor.placements, src_data_rank=None)

    def whole_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """An optimizer's state with whole tensors in the place of shares, on the CPU; in the first process alone."""
        values = {
            number: {name: self._whole(value) for name, value in entry.items()}
            for number, entry in state["state"].items()
        }
        return {**state, "state": values}

    @contextmanager
    def whole(self, model: nn.Module) -> Iterator[None]:
        """Within, the first process's model is what it was before it was cut, on the CPU; it cannot be run."""
        self.share_weights(model)
        places = [
            (module._parameters, leaf, parameter)
            for module in model.modules()
            for leaf, parameter in module._parameters.items()
            if parameter is not None and isinstance(parameter, DTensor)
        ]
        cut = {parameter: None for _, _, parameter in places}
        found = {parameter: nn.Parameter(self._whole(parameter), parameter.requires_grad) for parameter in cut}
        try:
            if self.rank == 0:
                for parameters, leaf, parameter in places:
                    parameters[leaf] = found[parameter]
            yield
        finally:
            for parameters, leaf, parameter in places:
                parameters[leaf] = parameter

    @torch.no_grad()
    def _whole(self, value: Any) -> Any:
        if not isinstance(value, DTensor):
            return value
        tensor = value.full_tensor()
        return tensor.cpu() if self.rank == 0 else tensor.new_empty(0)


def _layers(model: nn.Module) -> list[nn.Module]:
    """The layers of all stacks."""
    return [layer for stack in model.modules() if isinstance(stack, Stack) for layer in stack.layers]


def _units(model: nn.Module) -> list[FSDPModule]:
    return [module for module in model.modules() if isinstance(module, FSDPModule)]
