"""Which parameters are trained, and how fast and with what decay each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from headway.errors import InputError, did_you_mean
from headway.models.load import slots
from headway.models.pretrained import PreTrainedModel
from headway.nn.positions.bias import RelativeBias
from headway.nn.positions.grid import GridBias
from headway.nn.stack import EncoderDecoderBackbone, Stack

Group = dict[str, Any]


def freeze(model: nn.Module, *patterns: str) -> tuple[str, ...]:
    """Keep parameters as they are in training, and return their names.

    Args:
        patterns: canonical names or those of checkpoint files, whole (``backbone.embed.tokens.weight``), of a module
            (``backbone``, ``bert.embeddings``), or with ``*`` (``backbone.layers.[0-3].*``).

    Raises:
        InputError: a pattern names no parameter.
    """
    names = _spellings(model)
    frozen: dict[str, None] = {}
    for pattern in patterns:
        found = [name for name, spellings in names.items() if any(_covers(pattern, one) for one in spellings)]
        if not found:
            known = {part for spellings in names.values() for one in spellings for part in _upward(one)}
            raise InputError(f"{pattern!r} names no parameter of this model.{did_you_mean(pattern, sorted(known))}")
        frozen.update(dict.fromkeys(found))
    parameters = dict(model.named_parameters())
    for name in frozen:
        parameters[name].requires_grad_(False)
    return tuple(frozen)


def _spellings(model: nn.Module) -> dict[str, set[str]]:
    """What each parameter is called, here and in files."""
    stored = slots(model, model.parts()) if isinstance(model, PreTrainedModel) else {}
    return {
        name: {name, *((slot.place.stored, *slot.place.also) if (slot := stored.get(name)) else ())}
        for name, _ in model.named_parameters()
    }


def _covers(pattern: str, name: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _upward(name: str) -> list[str]:
    """``a.b.c`` and the modules around it: ``a.b`` and ``a``."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that training changes, tied ones once; raises ``InputError`` where there are none."""
    found = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not found:
        raise InputError("All parameters of the model are frozen; there is nothing to train.")
    return found


def decaying(model: nn.Module, parameters: Mapping[str, nn.Parameter]) -> set[int]:
    """The ids of those that weight decay acts on: matrices and tables.

    It leaves alone the vectors of norms and scales, and biases, those of attention scores too.
    """
    tables = [module for module in model.modules() if isinstance(module, RelativeBias | GridBias)]
    biases = {id(parameter) for table in tables for parameter in table.parameters()}
    biases |= {id(parameter) for name, parameter in parameters.items() if name.rpartition(".")[2] == "bias"}
    return {id(parameter) for parameter in parameters.values() if parameter.dim() > 1} - biases


def hidden_matrices(model: nn.Module) -> set[int]:
    """The ids of the matrices within layers of stacks: no tables, no heads."""
    return {
        id(module.weight)
        for stack in model.modules()
        if isinstance(stack, Stack)
        for module in stack.layers.modules()
        if isinstance(module, nn.Linear)
    }


def parameter_groups(
    model: nn.Module,
    parameters: Mapping[str, nn.Parameter],
    learning_rate: float,
    weight_decay: float = 0.0,
    layer_decay: float = 1.0,
) -> list[Group]:
    """``parameters`` in groups for an optimizer, each of one learning rate and one weight decay.

    Args:
        layer_decay: the learning rate of a layer as a share of that of the layer above it (ULMFiT's discriminative
            fine-tuning, Howard and Ruder 2018, arXiv:1801.06146): the head and what follows the last layer have the
            full ``learning_rate``, the embeddings the smallest.

    Raises:
        InputError: ``layer_decay`` is asked of a model without a stack of layers, or out of range.
    """
    depths, decayed = _depths(model, layer_decay), decaying(model, parameters)
    groups: dict[tuple[float, float], Group] = {}
    for parameter in parameters.values():
        rate = learning_rate * layer_decay ** depths.get(id(parameter), 0)
        decay = weight_decay if id(parameter) in decayed else 0.0
        group = groups.setdefault((rate, decay), {"params": [], "lr": rate, "weight_decay": decay})
        group["params"].append(parameter)
    return list(groups.values())


def _depths(model: nn.Module, layer_decay: float) -> dict[int, int]:
    """How many layers down each parameter lies, by id; what is not here lies on top. Each stack counts by itself."""
    if layer_decay == 1.0:
        return {}
    if not 0 < layer_decay < 1:
        raise InputError(f"The layers' decay of the learning rate is a share from 0 to 1, not {layer_decay!r}.")
    found: dict[int, int] = {}

    def enter(modules: Iterable[nn.Module | None], depth: int) -> None:
        for module in modules:
            for parameter in () if module is None else module.parameters():
                found.setdefault(id(parameter), depth)

    stacks = [module for module in model.modules() if isinstance(module, Stack)]
    if not stacks:
        raise InputError(f"{type(model).__name__} has no stack of layers, so its learning rate cannot differ by layer.")
    for stack in stacks:
        count = len(stack.layers)
        enter((stack.embed, stack.positions), count + 1)
        for number, layer in enumerate(stack.layers):
            enter((layer,), count - number)
    for module in model.modules():
        if isinstance(module, EncoderDecoderBackbone):
            enter((module.tokens,), max(len(stack.layers) for stack in stacks) + 1)
    return found
