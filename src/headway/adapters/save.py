"""Writing adapters as peft does: ``adapter_config.json`` and ``adapter_model.safetensors``, by the hub's names."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headway.adapters.add import state_of
from headway.adapters.config import FILE_NAME, PREFIX, WEIGHTS_NAMES
from headway.adapters.places import HubLinear, hub_linears, parameter_places
from headway.errors import InputError, did_you_mean
from headway.io.atomic import atomic_folder, write_file
from headway.io.safetensors import write_safetensors
from headway.nn.lora import Kept, Lora, adapted, adapters_of, weight_of


def save_adapter(model: Any, folder: str | os.PathLike[str], name: str | None = None) -> None:
    """Write the adapter ``name`` into a folder, all or nothing; other files in it stay.

    Args:
        folder: made where it is missing.
        name: may be left out where one adapter is in use, or the model has only one.

    Raises:
        InputError: there is no such adapter, or it is not said which of several.
    """
    state = state_of(model)
    if name is None:
        candidates = state.active if len(state.active) == 1 else tuple(state.configs)
        if len(candidates) != 1:
            raise InputError(f"The model has the adapters {', '.join(map(repr, candidates))}; say which to save.")
        name = candidates[0]
    if name not in state.configs:
        raise InputError(f"The model has no adapter {name!r}.{did_you_mean(name, state.configs)}")
    config = replace(state.configs[name], inference_mode=True)
    tensors = adapter_tensors(model, name)
    with atomic_folder(Path(folder)) as draft:
        write_file(draft / FILE_NAME, config.to_json_string().encode())
        write_safetensors(draft / WEIGHTS_NAMES[0], tensors, {"format": "pt"})
        (draft / WEIGHTS_NAMES[1]).unlink(missing_ok=True)


@torch.no_grad()
def adapter_tensors(model: Any, name: str) -> dict[str, Tensor]:
    """The tensors of the adapter ``name`` by the names of files."""
    found: dict[str, Tensor] = {}
    for linear in hub_linears(model).values():
        homes = [adapters_of(layer) for layer in linear.layers]
        loras = [None if home is None else home.loras.get(name) for home in homes]
        first = next((lora for lora in loras if lora is not None), None)
        if first is None:
            continue
        key = f"{PREFIX}{linear.name}."
        b = first.b.new_zeros(linear.outputs, first.b.shape[1])
        for rows, lora in zip(linear.rows, loras, strict=True):
            if lora is not None:
                b[rows] = lora.b
        found |= {f"{key}lora_A.weight": first.a.detach(), f"{key}lora_B.weight": b}
        if first.magnitude is not None:
            found[f"{key}lora_magnitude_vector"] = _magnitude(linear, loras, first.magnitude)
    return found | _kept_tensors(model, name)


def _magnitude(linear: HubLinear, loras: list[Lora | None], like: Tensor) -> Tensor:
    """The lengths of all rows; parts without an adapter have those of their weights."""
    lengths = like.new_empty(linear.outputs)
    for rows, layer, lora in zip(linear.rows, linear.layers, loras, strict=True):
        own = None if lora is None else lora.magnitude
        lengths[rows] = weight_of(layer).to(like).norm(dim=1) if own is None else own
    return lengths


def _kept_tensors(model: Any, name: str) -> dict[str, Tensor]:
    values: dict[str, Tensor] = {}
    for path, owner, home in adapted(model):
        one = home._modules.get(name)
        if isinstance(one, Kept):
            values |= {f"{path}.{leaf}".lstrip("."): value.detach() for leaf, value in one.own(owner).items()}
    places = parameter_places(model)
    found = {}
    for path in values:
        place = places[path]
        if place.part == 0:
            found[PREFIX + place.stored] = place.layout.save([values[part] for part in place.parts])
    return found
