"""Which layers of a model are quantised, and how: the linear layers of its backbone's layers, and an output layer.

What rows are looked up in (a token table), norms, routers and heads that are yet to be trained stay as they are. An
output layer that is tied to the table computes with a rounded copy of it, and is saved as the table that it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from headway.errors import ConfigError, InputError, WeightsError, did_you_mean
from headway.nn.integers import GROUP
from headway.nn.layout import join
from headway.nn.linear import Linear
from headway.nn.packed import MappedFiles, let_go
from headway.nn.quantised import Int4Linear, Int8Linear, QuantisedLinear
from headway.nn.rounded import RoundedLinear

# Whose format it is, in a config.json. Other libraries pass over a quant_method that they do not know and would take
# the numbers for weights; where there is none, they stop.
LIBRARY = "headway"
WEIGHTS: Mapping[str, type[QuantisedLinear]] = {"int8": Int8Linear, "int4": Int4Linear}
# It is read whole for every token, and reading takes the time; numbers of 8 bits keep the order of likely tokens.
OUTPUT = re.compile(r"(.*\.)?head\.lm\.decoder")
_INNER = re.compile(r"(.*\.)?backbone\.(.*\.)?layers\.\d+\..*")


def checked(weights: str) -> str:
    """``weights`` if it is a kind of weights.

    Raises:
        InputError: it is none; the message offers the nearest.
    """
    if weights not in WEIGHTS:
        raise InputError(
            f"quantize={weights!r} is not known; it is one of {', '.join(map(repr, WEIGHTS))}."
            f"{did_you_mean(weights, WEIGHTS)}"
        )
    return weights


def quantise(model: nn.Module, weights: str, output: bool = True) -> None:
    """Put quantised layers in the place of a model's linear ones; on the meta device, empty ones.

    Args:
        weights: ``"int8"`` or ``"int4"``.
        output: quantise an output layer of its own too.
    """
    files = MappedFiles()
    with torch.inference_mode(False), torch.no_grad():
        if output:
            round_tied_output(model)
        for path, layer in _layers(model, output).items():
            kind = WEIGHTS[weights]
            if OUTPUT.fullmatch(path) or layer.in_features % GROUP:
                kind = Int8Linear
            owner, _, name = path.rpartition(".")
            module = model.get_submodule(owner)
            if layer.weight.device.type == "meta":
                with torch.device("meta"):
                    new = kind(layer.in_features, layer.out_features)
                new.bias = layer.bias
            else:
                new = kind.of(layer.weight, layer.bias)
                if files.can_pack(layer.weight):
                    let_go(layer.weight)  # the file has it, should another model read it
            new.train(layer.training)
            module._modules[name] = new
            if name in getattr(module, "siblings", ()):
                module.joint = None  # type: ignore[assignment]
                join(module, False)


def round_tied_output(model: nn.Module) -> None:
    """Let an output layer that is tied to a token table compute with rounded numbers."""
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    for path, layer in list(model.named_modules()):
        if OUTPUT.fullmatch(path) and type(layer) is Linear and id(layer.weight) in tables:
            owner, _, name = path.rpartition(".")
            model.get_submodule(owner)._modules[name] = RoundedLinear.of(layer)


def _layers(model: nn.Module, output: bool) -> dict[str, Linear]:
    """The linear layers that are quantised, by path."""
    modules = dict(model.named_modules())
    uses = Counter(id(m.weight) for m in modules.values() if isinstance(m, nn.Linear | nn.Embedding))
    found = {}
    for path, module in modules.items():
        if type(module) is not Linear or uses[id(module.weight)] > 1:
            continue
        owner, _, name = path.rpartition(".")
        inner = _INNER.fullmatch(path) and name not in getattr(modules[owner], "unquantised", ())
        if inner or (output and OUTPUT.fullmatch(path)):
            found[path] = module
    return found


def quantised_layers(model: nn.Module) -> dict[str, QuantisedLinear]:
    """The quantised layers of ``model`` by path."""
    return {path: module for path, module in model.named_modules() if isinstance(module, QuantisedLinear)}


def settings_of(model: nn.Module) -> dict[str, Any] | None:
    """What the config of ``model`` is to say of its weights; None where they are not quantised."""
    layers = quantised_layers(model)
    if not layers:
        return None
    inner = [type(layer) for path, layer in layers.items() if not OUTPUT.fullmatch(path)]
    found: dict[str, Any] = {
        "library": LIBRARY,
        "weights": "int4" if Int4Linear in inner else "int8",
        "output_layer": any(map(OUTPUT.fullmatch, layers)),
    }
    if any(isinstance(module, RoundedLinear) for module in model.modules()):
        found["tied_output"] = True
    return found


def read_settings(config: Any, checkpoint: str) -> dict[str, Any] | None:
    """What ``config`` says of weights that were quantised here; None where it says nothing of them.

    Raises:
        ConfigError: it says what is not known.
    """
    settings = getattr(config, "quantization_config", None)
    if not isinstance(settings, Mapping) or settings.get("library") != LIBRARY:
        return None
    if settings.get("weights") not in WEIGHTS:
        raise ConfigError(
            f"{checkpoint}: weights in the config's quantization_config is {settings.get('weights')!r}, but it must be "
            f"one of {', '.join(map(repr, WEIGHTS))}.{did_you_mean(settings.get('weights') or '', WEIGHTS)}"
        )
    return dict(settings)


def check_loaded(model: nn.Module, checkpoint: str) -> None:
    """Raise ``WeightsError`` where a quantised layer of ``model`` was given floating-point numbers."""
    for path, layer in quantised_layers(model).items():
        weight = layer.tensors()["weight"]
        if weight.is_floating_point():
            kind = str(weight.dtype).removeprefix("torch.")
            raise WeightsError(
                f"{checkpoint}: the config says that weights are quantised, but those of {path!r} are {kind}; remove "
                "quantization_config from config.json, or mend the file."
            )
