"""Which layers and parameters a ``LoraConfig`` means in a model, and the same config in the hub's names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from headway.adapters.config import LoraConfig
from headway.adapters.places import HubLinear, hub_linears, parameter_places
from headway.errors import ConfigError, InputError, did_you_mean
from headway.nn.experts import Scores

ALL_LINEAR = "all-linear"
# What Hu et al. adapted.
_USUAL = ["attn.q", "attn.v", "cross.q", "cross.v"]
_WITH_HEAD = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS")
_LAYER = re.compile(r"(?:.*?\.)?layers\.(\d+)\.")


@dataclass(frozen=True)
class Choice:
    """A layer of the hub, those of its parts (by number) that are adapted, and how."""

    linear: HubLinear
    members: tuple[int, ...]
    rank: int
    alpha: float


def choose(model: Any, config: LoraConfig) -> tuple[list[Choice], list[str], LoraConfig]:
    """What ``config`` means in ``model``.

    Returns:
        the layers, the canonical names of parameters to keep whole, and the config in the hub's names.

    Raises:
        InputError: a name fits no layer.
        ConfigError: a regex is broken.
    """
    try:
        return _choose(model, config)
    except re.error as error:
        raise ConfigError(f"LoraConfig: {error.pattern!r} is no regular expression: {error}.") from error


def _choose(model: Any, config: LoraConfig) -> tuple[list[Choice], list[str], LoraConfig]:
    linears = hub_linears(model)
    whole, modules = _kept(model, config)
    members = {name: _members(linear, config, whole) for name, linear in linears.items()}
    chosen = {name: inside for name, inside in _targets(model, linears, config).items() if inside & members[name]}
    if not chosen:
        raise InputError(
            f"target_modules={config.target_modules!r}, exclude_modules={config.exclude_modules!r} and "
            f"layers_to_transform={config.layers_to_transform!r} leave no layer of {type(model).__name__} to adapt."
        )
    choices = []
    for name, inside in chosen.items():
        linear = linears[name]
        names = (name, *linear.paths)
        rank = by_pattern(config.rank_pattern, names, config.r)
        alpha = by_pattern(config.alpha_pattern, names, config.lora_alpha)
        choices.append(Choice(linear, tuple(sorted(inside & members[name])), int(rank), alpha))
    return choices, whole, _in_hub_names(config, choices, linears, modules)


def _targets(model: Any, linears: Mapping[str, HubLinear], config: LoraConfig) -> dict[str, set[int]]:
    """The parts of the hub's layers that ``target_modules`` names."""
    targets = config.target_modules
    if targets == ALL_LINEAR:
        inner = {name: linear for name, linear in linears.items() if _is_inner(linear)}
        return {name: set(range(len(linear.paths))) for name, linear in inner.items()}
    if targets is None:
        fitting = _fitting(linears, _USUAL, by_hub=False)
        return fitting or _unknown(model, linears, "target_modules=None, which takes attn.q and attn.v,")
    found: dict[str, set[int]] = {}
    for target in [targets] if isinstance(targets, str) else [[one] for one in targets]:
        fitting = _fitting(linears, target, by_hub=True) or _fitting(linears, target, by_hub=False)
        shown = target if isinstance(target, str) else target[0]
        for name, inside in (fitting or _unknown(model, linears, shown)).items():
            found.setdefault(name, set()).update(inside)
    return found


def _fitting(linears: Mapping[str, HubLinear], targets: str | list[str], by_hub: bool) -> dict[str, set[int]]:
    """The layers whose names fit, by the hub's names (then with all their parts) or by headway's own."""
    found = {}
    for name, linear in linears.items():
        fits = [_fits(targets, name if by_hub else path) for path in linear.paths]
        if any(fits):
            found[name] = {at for at, fit in enumerate(fits) if fit}
    return found


def _fits(targets: str | Iterable[str], name: str) -> bool:
    if isinstance(targets, str):
        return re.fullmatch(targets, name) is not None
    return any(name == target or name.endswith(f".{target}") for target in targets)


def _is_inner(linear: HubLinear) -> bool:
    """Is it a linear layer of the backbone, and none that sends tokens to experts?"""
    return "backbone." in f"{linear.paths[0]}." and not isinstance(linear.layers[0], Scores)


def _members(linear: HubLinear, config: LoraConfig, whole: list[str]) -> set[int]:
    """The parts of a layer that nothing rules out."""
    layers = config.layers_to_transform
    numbers = None if layers is None or layers == [] else {layers} if isinstance(layers, int) else set(layers)
    out = config.exclude_modules or []
    found = set()
    for at, path in enumerate(linear.paths):
        layer = _LAYER.match(path)
        inside = numbers is None or (layer is not None and int(layer[1]) in numbers)
        if inside and not _fits(out, linear.name) and not _fits(out, path) and f"{path}.weight" not in whole:
            found.add(at)
    return found


def by_pattern(patterns: Mapping[str, float], names: Iterable[str], default: float) -> float:
    """The first value of ``patterns`` whose regex fits the end of one of a layer's ``names``, else ``default``."""
    names = tuple(names)
    for pattern, value in patterns.items():
        if any(re.fullmatch(rf"(.*\.)?({pattern})", name) for name in names):
            return value
    return default


def _unknown(model: Any, linears: Mapping[str, HubLinear], target: str) -> dict[str, set[int]]:
    """Raise ``InputError``, offering the nearest names."""
    short = sorted({name.rpartition(".")[2] for name in linears})
    paths = [path for linear in linears.values() for path in linear.paths]
    own = {".".join(path.split(".")[-at:]) for path in paths for at in (1, 2)}
    near = did_you_mean(target, [*short, *sorted(own), *linears, *paths])
    raise InputError(
        f"No linear layer of {type(model).__name__} is called {target!r}; they are called {', '.join(short)}.{near}"
    )


def _kept(model: Any, config: LoraConfig) -> tuple[list[str], list[str]]:
    """The parameters that the adapter keeps whole, and the hub's names of their modules."""
    places = parameter_places(model)
    modules: list[str] = []
    found: list[str] = []
    if config.task_type in _WITH_HEAD:
        modules += {place.stored.split(".")[0]: "" for name, place in places.items() if name.startswith("head.")}
    for entry in config.modules_to_save or ():
        by_hub = any(_within(entry, place.stored) for place in places.values())
        inside = [name for name, place in places.items() if _within(entry, place.stored if by_hub else name)]
        if not inside:
            known = sorted({part for place in places.values() for part in place.stored.split(".")[:-1]})
            raise InputError(
                f"modules_to_save: no module of {type(model).__name__} is called {entry!r}.{did_you_mean(entry, known)}"
            )
        modules += [entry] if by_hub else {places[name].stored.rpartition(".")[0]: "" for name in inside}
    for entry in modules:
        found += [name for name, place in places.items() if _within(entry, place.stored) and name not in found]
    return found, list(dict.fromkeys(modules))


def _within(entry: str, name: str) -> bool:
    """Does the parameter ``name`` lie in a module called ``entry``?"""
    return f".{entry}." in f".{name}"


def _in_hub_names(
    config: LoraConfig, choices: list[Choice], linears: Mapping[str, HubLinear], modules: list[str]
) -> LoraConfig:
    """``config`` as other programs read it, who know the hub's names alone."""
    names = {choice.linear.name for choice in choices}
    changes: dict[str, Any] = {
        "target_modules": _endings(names, linears),
        "exclude_modules": None,
        "layers_to_transform": None,
        "fan_in_fan_out": all(choice.linear.transposed for choice in choices),
        "modules_to_save": modules or None,
    }
    if config.rank_pattern:
        changes["rank_pattern"] = {c.linear.name: c.rank for c in choices if c.rank != config.r}
    if config.alpha_pattern:
        changes["alpha_pattern"] = {c.linear.name: c.alpha for c in choices if c.alpha != config.lora_alpha}
    extra = {key: value for key, value in config.extra.items() if key != "layers_pattern"}
    return replace(config, **changes, extra=extra)


def _endings(names: set[str], linears: Mapping[str, HubLinear]) -> list[str]:
    """The shortest ends of ``names`` that are the ends of no other layer's name."""
    for depth in range(1, max(name.count(".") for name in names) + 1):
        ends = {".".join(name.split(".")[-depth:]) for name in names}
        if {name for name in linears if _fits(ends, name)} == names:
            return sorted(ends)
    return sorted(names)
