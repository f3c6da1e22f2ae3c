"""Where a model's layers and parameters lie in files: adapters are made for the hub's layers, by the hub's names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from headway.layouts import SAME, FusedColumns, Stacked, StackedColumns, Transposed
from headway.names import Place
from headway.nn.lora import LinearLayer, is_adapters
from headway.nn.quantised import QuantisedLinear


@dataclass(frozen=True)
class HubLinear:
    """A linear layer as files hold it: one of the model's, or several that read the same and lie in one.

    ``rows[i]`` numbers the outputs ``[out]`` that the layer at ``paths[i]`` gives.
    """

    name: str
    paths: tuple[str, ...]
    layers: tuple[LinearLayer, ...]
    rows: tuple[Tensor, ...]
    transposed: bool
    also: tuple[str, ...]

    @property
    def width(self) -> int:
        """Inputs."""
        return self.layers[0].in_features

    @property
    def outputs(self) -> int:
        """Outputs of all together."""
        return sum(map(len, self.rows))


def hub_linears(model: Any) -> dict[str, HubLinear]:
    """The linear layers of ``model`` as files hold them, by the hub's names; none of those in stacks of experts."""
    parts = tuple(model.parts())
    modules = dict(model.named_modules())
    found: dict[str, HubLinear] = {}
    for path, module in modules.items():
        if not isinstance(module, nn.Linear | QuantisedLinear):
            continue
        place = place_of(parts, f"{path}.weight")
        name = _module(place.stored)
        if name in found or isinstance(place.layout, Stacked | StackedColumns):
            continue
        paths = tuple(map(_module, place.parts))
        layers = tuple(modules[path] for path in paths)
        count = sum(layer.out_features for layer in layers)
        # What a layout does with the bias of a layer it does with the rows of any matrix of as many.
        rows = tuple(place.layout.load(torch.arange(count)))
        transposed = isinstance(place.layout, Transposed | FusedColumns)
        also = (*map(_module, place.also), *_other_prefixes(parts, path, name))
        found[name] = HubLinear(name, paths, layers, rows, transposed, also)
    return found


def parameter_places(model: Any) -> dict[str, Place]:
    """Where each parameter of ``model`` lies in files, by canonical name; tied ones under each of their names."""
    parts = tuple(model.parts())
    names = (name for name, _ in model.named_parameters(remove_duplicate=False) if not is_adapters(name))
    return {name: place_of(parts, name) for name in names}


def place_of(parts: Iterable[Any], name: str) -> Place:
    """Where the canonical tensor ``name`` lies in files; ``parts`` are the model's."""
    part = next((part for part in parts if name.startswith(part.path)), None)
    if part is None:
        return Place(name, SAME, 0, (name,))
    place: Place = part.translation.place(name[len(part.path) :]).under(part.path)
    return place


def _other_prefixes(parts: Iterable[Any], path: str, name: str) -> list[str]:
    """What a backbone's layer is called in files of the family's other heads."""
    part = next((part for part in parts if path.startswith(f"{part.path}backbone.")), None)
    if part is None:
        return []
    own = part.path + part.translation.prefix
    prefixes = {"", *part.translation.prefixes} - {part.translation.prefix}
    return [part.path + prefix + name.removeprefix(own) for prefix in sorted(prefixes)]


def _module(name: str) -> str:
    return name.rpartition(".")[0]
