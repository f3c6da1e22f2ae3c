"""From a spec dataclass to its module: a table that each module enters itself into."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from headway.errors import ConfigError

_builders: dict[type, Callable[..., nn.Module]] = {}


def builds(spec: type) -> Callable[[Any], Any]:
    """Class decorator: the module is what ``spec`` is built into, called as ``Module(spec, *args)``.

    Raises:
        ConfigError: ``spec`` has a builder already.
    """

    def enter(module: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        if spec in _builders:
            raise ConfigError(f"{spec.__name__} is built by {_builders[spec]!r} already.")
        _builders[spec] = module
        return module

    return enter


def build(spec: Any, *args: Any) -> Any:
    """The module that ``spec`` describes; ``args`` are what its builder needs of the surroundings, such as a width."""
    if type(spec) not in _builders:
        raise ConfigError(f"No builder is registered for {type(spec).__name__}; decorate its module with @builds.")
    return _builders[type(spec)](spec, *args)
