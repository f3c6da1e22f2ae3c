"""Optimizers by name, over a model's parameters in groups."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adafactor, Adagrad, AdamW, Optimizer, RMSprop

from headway.errors import InputError, did_you_mean
from headway.training.lion import Lion
from headway.training.parameters import Group, hidden_matrices, parameter_groups, trained
from headway.training.together import Together

Options = Mapping[str, Any]
Maker = Callable[[nn.Module, Any, Options], Optimizer]


def make_optimizer(model: nn.Module, arguments: Any) -> Optimizer:
    """The optimizer that ``arguments`` ask for, over the parameters of ``model`` that are not frozen.

    Args:
        arguments: an object with ``optim`` (a name of ``OPTIMIZERS``), ``optim_args`` (further options, as a dictionary
            or as ``"name=value,name=value"``), ``learning_rate``, ``weight_decay``, ``adam_beta1``, ``adam_beta2``,
            ``adam_epsilon`` and ``layer_decay`` (see ``parameter_groups``).

    Raises:
        InputError: the optimizer or an option is unknown or out of range, or there is nothing to train.
    """
    name = str(arguments.optim)
    if name not in OPTIMIZERS:
        raise InputError(
            f"optim={name!r} is unknown.{did_you_mean(name, OPTIMIZERS)} There are {', '.join(OPTIMIZERS)}."
        )
    try:
        return OPTIMIZERS[name](model, arguments, _options(arguments.optim_args))
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"optim={name!r} takes other values: {error}.") from error


def _options(given: str | Mapping[str, Any] | None) -> Options:
    """Options as a dictionary; values in a text are read as Python's numbers, tuples, True and None."""
    if given is None or isinstance(given, Mapping):
        return dict(given or {})
    found: dict[str, Any] = {}
    for item in _items(given):
        name, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"optim_args={given!r} must be 'name=value,name=value'; {item!r} has no '='.")
        try:
            found[name.strip()] = ast.literal_eval(value.strip())
        except (SyntaxError, ValueError):
            found[name.strip()] = value.strip()
    return found


def _items(text: str) -> list[str]:
    """``text`` cut at the commas that stand in no brackets."""
    items, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            items.append("")
        else:
            items[-1] += letter
    return [item for item in items if item.strip()]


def _checked(kind: type[Optimizer], options: Options) -> Options:
    """``options``, all of which ``kind`` takes; raises ``InputError``."""
    known = [name for name in inspect.signature(kind).parameters if name not in ("params", "lr", "weight_decay")]
    for name in options:
        if name not in known:
            raise InputError(
                f"{kind.__name__} takes no option {name!r} in optim_args.{did_you_mean(name, known)} It takes "
                f"{', '.join(known)}."
            )
    return options


def _nothing(arguments: Any) -> dict[str, Any]:
    return {}


def _adam(arguments: Any) -> dict[str, Any]:
    return {"betas": (arguments.adam_beta1, arguments.adam_beta2), "eps": arguments.adam_epsilon}


def _groups(model: nn.Module, parameters: Mapping[str, nn.Parameter], arguments: Any) -> list[Group]:
    rate, decay = arguments.learning_rate, arguments.weight_decay
    return parameter_groups(model, parameters, rate, decay, arguments.layer_decay)


def _of(kind: type[Optimizer], read: Callable[[Any], dict[str, Any]] = _nothing, **fixed: Any) -> Maker:
    """A maker of ``kind`` over all parameters, with the options that ``read`` finds in the arguments."""

    def make(model: nn.Module, arguments: Any, options: Options) -> Optimizer:
        groups = _groups(model, trained(model), arguments)
        values = {**read(arguments), **fixed, **_checked(kind, options)}
        return kind(groups, lr=arguments.learning_rate, **values)  # type: ignore[call-arg]

    return make


def _muon(model: nn.Module, arguments: Any, options: Options) -> Optimizer:
    """Muon for the matrices within layers, AdamW for the rest.

    Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; steps are as large as AdamW's (Liu et al. 2025,
    arXiv:2502.16982), so that one learning rate and one weight decay do for both.
    """
    kind = getattr(torch.optim, "Muon", None)
    if kind is None:
        raise InputError(f"optim='muon' needs torch 2.9 or newer; this is {torch.__version__}.")
    matrices = hidden_matrices(model)
    parameters = trained(model)
    inner = {name: parameter for name, parameter in parameters.items() if id(parameter) in matrices}
    if not inner:
        raise InputError("optim='muon' is for the matrices of layers, and this model trains none; take 'adamw_torch'.")
    rest = {name: parameter for name, parameter in parameters.items() if name not in inner}
    values = {"adjust_lr_fn": "match_rms_adamw", **_checked(kind, options)}
    parts = [kind(_groups(model, inner, arguments), lr=arguments.learning_rate, **values)]
    if rest:
        parts.append(AdamW(_groups(model, rest, arguments), lr=arguments.learning_rate, **_adam(arguments)))
    return Together(*parts)


# By the field's names. Adafactor is torch's, whose steps are shares of a parameter's own size (arXiv:1804.04235).
OPTIMIZERS: dict[str, Maker] = {
    "adamw_torch": _of(AdamW, _adam),
    "adamw_torch_fused": _of(AdamW, _adam, fused=True),
    "adafactor": _of(Adafactor),
    "sgd": _of(SGD),
    "lion": _of(Lion),
    "lion_32bit": _of(Lion),
    "muon": _muon,
    "rmsprop": _of(RMSprop),
    "adagrad": _of(Adagrad),
}
