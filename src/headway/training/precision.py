"""Computing in half precision over weights in single precision."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from headway.parallel.replicas import Replicas
from headway.training.arguments import TrainingArguments


class Precision:
    """The type that passes compute in, and the scaling of losses that float16 needs (arXiv:1710.03740)."""

    def __init__(self, args: TrainingArguments) -> None:
        self.device = args.device.type
        self.dtype = torch.bfloat16 if args.bf16 else torch.float16 if args.fp16 else None
        self.scaler = torch.amp.GradScaler(self.device) if args.fp16 else None

    def compute(self) -> AbstractContextManager[Any]:
        """Passes in here compute in the half type where there is one."""
        return nullcontext() if self.dtype is None else torch.autocast(self.device, self.dtype)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of ``loss``."""
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()

    def unscale(self, optimizer: Optimizer) -> None:
        """Let gradients have their true size."""
        if self.scaler is not None:
            self.scaler.unscale_(optimizer)

    def step(self, optimizer: Optimizer) -> bool:
        """Change the weights; False where float16 ran over and the step was left out."""
        if self.scaler is None:
            optimizer.step()
            return True
        before = self.scaler.get_scale()
        self.scaler.step(optimizer)
        self.scaler.update()
        return self.scaler.get_scale() >= before

    def state_dict(self) -> dict[str, Any]:
        """The state of the scaling."""
        return {} if self.scaler is None else self.scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the scaling of a checkpoint."""
        if self.scaler is not None and state:
            self.scaler.load_state_dict(state)


def keep_masters(model: nn.Module, autocast: bool) -> None:
    """Let the weights be float32, in place: what is trained, and what is not where passes compute in that type.

    Steps are smaller than what half precision can tell apart, so weights kept in it would not move.
    """
    for parameter in model.parameters():
        if parameter.is_floating_point() and parameter.itemsize < 4 and (parameter.requires_grad or not autocast):
            parameter.data = parameter.data.float()
    if not autocast:
        for buffer in model.buffers():
            if buffer.is_floating_point() and buffer.itemsize < 4:
                buffer.data = buffer.data.float()


def clip(parameters: Sequence[Tensor], most: float, group: Replicas) -> Tensor:
    """Scale the gradients down to the norm ``most``, where above 0; returns the norm of all that they had."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = group.norm(gradients)
    if most > 0:
        for kind in {type(gradient) for gradient in gradients}:  # kernels take tensors of one kind
            nn.utils.clip_grads_with_norm_([one for one in parameters if type(one.grad) is kind], most, norm)
    return norm
