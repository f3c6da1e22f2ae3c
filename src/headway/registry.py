"""Families by ``model_type`` and by class name, and how to add one.

Every module in ``headway.families`` is found by its being there: a new family is one file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from headway.config import PreTrainedConfig
from headway.errors import ConfigError, did_you_mean
from headway.names import Names
from headway.spec import Backbone, Recipe


@dataclass(frozen=True)
class Family:
    """One architecture of checkpoints.

    Args:
        config: its config class, which carries ``model_type``.
        title: what its class names begin with (``"Bert"`` makes ``BertModel``).
        architecture: config to the backbone's spec.
        names: config to the table of parameter names.
        heads: config to the recipes of the heads that its trained checkpoints fix; others follow from the kind.
        classes: class names that do not follow the pattern, by head (``{"causal-lm": "GPT2LMHeadModel"}``).
    """

    config: type[PreTrainedConfig]
    title: str
    architecture: Callable[[Any], Backbone]
    names: Callable[[Any], Names]
    heads: Callable[[Any], Mapping[str, Recipe]] = field(default=lambda config: {})
    classes: Mapping[str, str] = field(default_factory=dict)

    @property
    def model_type(self) -> str:
        """The key in ``config.json``."""
        return self.config.model_type


_families: dict[str, Family] = {}
_configs: dict[str, type[PreTrainedConfig]] = {}


def register(family: Family) -> None:
    """Make ``family`` known: from then on it takes every head of its modality.

    Raises:
        ConfigError: its config has no ``model_type``, or that is taken by another family.
    """
    name = family.model_type
    if not name:
        raise ConfigError(f"{family.config.__name__} has no model_type; give it the one of its checkpoints.")
    taken = _families.get(name)
    if taken is not None and taken.config.__module__ != family.config.__module__:
        raise ConfigError(f"The model_type {name!r} belongs to {taken.config.__name__} already; choose another.")
    _families[name] = family


def register_config(model_type: str, config: type[PreTrainedConfig], exist_ok: bool = False) -> None:
    """Make a config class of the user's own known under ``model_type``.

    Raises:
        ConfigError: the class carries another ``model_type``, or the name is taken.
    """
    if config.model_type != model_type:
        raise ConfigError(
            f"{config.__name__}.model_type is {config.model_type!r} but it is registered as {model_type!r}; "
            "make them equal."
        )
    if not exist_ok and (model_type in _configs or model_type in families()):
        raise ConfigError(f"The model_type {model_type!r} is taken already; choose another or pass exist_ok=True.")
    _configs[model_type] = config


@cache
def _files() -> Mapping[str, str]:
    """The modules of ``headway.families`` by the last part of their names."""
    import headway.families as package

    return {
        module.name.rpartition(".")[2]: module.name
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    }


@cache
def _import_families() -> None:
    for name in _files().values():
        importlib.import_module(name)


def families() -> Mapping[str, Family]:
    """All families by ``model_type``."""
    _import_families()
    return dict(sorted(_families.items()))


def has_family(model_type: Any) -> bool:
    """Is there a family of ``model_type``? Its file alone is imported, where it is called so."""
    if not isinstance(model_type, str):
        return False
    if model_type not in _families:
        name = _files().get(model_type.replace("-", "_"))
        if name is not None:
            importlib.import_module(name)
        if model_type not in _families:
            _import_families()
    return model_type in _families


def find_family(model_type: str) -> Family:
    """The family of ``model_type``.

    Raises:
        ConfigError: there is none; the message offers the nearest name.
    """
    if not has_family(model_type):
        raise ConfigError(
            f"The model_type {model_type!r} is not known to headway.{did_you_mean(model_type, _families)} "
            "`headway families` lists what is; headway.register adds a family."
        )
    return _families[model_type]


def is_known(model_type: Any) -> bool:
    """Is there a config class for ``model_type``?"""
    return isinstance(model_type, str) and (model_type in _configs or has_family(model_type))


def config_class(model_type: str) -> type[PreTrainedConfig]:
    """The config class of ``model_type``, a family's or a registered one; raises ``ConfigError`` for none."""
    return _configs[model_type] if model_type in _configs else find_family(model_type).config
