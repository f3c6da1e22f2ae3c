"""Values for parameters that no file gives."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn

from headway.config import PreTrainedConfig
from headway.nn.norm import LayerNorm, RMSNorm


@torch.no_grad()
def initialise(model: nn.Module, config: PreTrainedConfig, only: Collection[str] | None = None) -> None:
    """Draw parameters anew: norms to what changes nothing, biases to zero, all else normal.

    The standard deviation is ``initializer_range`` or ``init_std``; where the config class has ``initializer_factor``
    it is that over the square root of a linear layer's inputs, times its ``gain``, as T5 does. A module that has
    ``new_values(name)`` says itself what its own parameters begin with, or None where they are drawn as all others.

    Args:
        only: names of the parameters to draw; None draws all.
    """
    factor = config.initializer_factor if "initializer_factor" in config._fields else None
    std = getattr(config, "init_std", config.initializer_range)
    for path, module in model.named_modules():
        for leaf, parameter in module.named_parameters(path, recurse=False):
            if only is not None and leaf not in only:
                continue
            own = module.new_values(leaf.rpartition(".")[2]) if hasattr(module, "new_values") else None
            if own is not None:
                parameter.copy_(own)
            elif leaf.endswith("bias"):
                parameter.zero_()
            elif isinstance(module, LayerNorm | RMSNorm):
                parameter.fill_(module.neutral)
            elif isinstance(module, nn.LayerNorm):
                parameter.fill_(1.0)
            elif factor is not None:
                inputs = 1 if isinstance(module, nn.Embedding) else parameter.shape[-1]
                parameter.normal_(0.0, factor * getattr(module, "gain", 1.0) * inputs**-0.5)
            else:
                parameter.normal_(0.0, std)
