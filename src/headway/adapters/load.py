"""Reading adapters from peft's files, whatever names and layouts the layers have here."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headway.adapters.add import check_name, enter, keep, put, wide
from headway.adapters.choose import Choice, by_pattern
from headway.adapters.config import PREFIX, WEIGHTS_NAMES, LoraConfig, read_lora_config
from headway.adapters.places import HubLinear, hub_linears, parameter_places
from headway.adapters.save import adapter_tensors
from headway.errors import WeightsError, did_you_mean
from headway.io.hub import locate
from headway.io.source import Source
from headway.io.weights import Weights, open_weights
from headway.nn.lora import Kept, adapted, adapters_of

_LORA = re.compile(r"(.+)\.(lora_A|lora_B|lora_magnitude_vector)(?:\.weight)?")
_FOREIGN = re.compile(r".*\.(lora|vera|ia3|hada|lokr|oft)_\w+(\..*)?")
Parts = dict[str, Tensor]


def load_adapter(
    model: Any, where: str | os.PathLike[str] | Source, name: str = "default", is_trainable: bool = False, **places: Any
) -> None:
    """Read an adapter from a folder or a hub repo and use it.

    Args:
        where: a folder or a hub id.
        name: what the model is to call it.
        is_trainable: let it learn on; else it only serves.
        **places: ``revision``, ``subfolder``, ``cache_dir``, ``token``, ``local_files_only``, ``force_download``.

    Raises:
        CheckpointError: there is no adapter.
        WeightsError: it was made for another model, or its file is damaged.
        ConfigError: it is of a kind that headway does not have.
        InputError: the model has an adapter called ``name``.
    """
    source = where if isinstance(where, Source) else locate(where, **places)
    config: LoraConfig = read_lora_config(source)
    config = replace(config, inference_mode=not is_trainable)
    check_name(model, name)
    path = source.require(*WEIGHTS_NAMES)
    loras, values = _sorted(open_weights(source, name=path.name), path)
    linears = _by_all_names(model)
    choices = {module: _choice(model, linears, module, config, parts, path) for module, parts in loras.items()}
    kept = _kept_values(model, values, path)
    for module, choice in choices.items():
        place = {"device": model.device, "dtype": wide(choice.linear.layers[0])}
        parts = {kind: tensor.to(**place) for kind, tensor in loras[module].items()}
        length = parts.get("lora_magnitude_vector")
        put(choice, config, name, parts["lora_A"], parts["lora_B"], None if length is None else length.flatten())
    keep(model, name, kept)
    enter(model, name, config)
    report = model.load_report
    if report is not None:  # what the adapter brought is not new
        mismatched = tuple(one for one in report.mismatched if one.name not in kept)
        new = tuple(one for one in report.new if one not in kept)
        model.load_report = replace(report, new=new, mismatched=mismatched)


def _sorted(weights: Weights, path: Path) -> tuple[dict[str, Parts], Parts]:
    """The tensors of low-rank additions, by layer and kind, and the others by name."""
    loras: dict[str, Parts] = {}
    others: Parts = {}
    for key in sorted(weights):
        name = key.removeprefix(PREFIX)
        match = _LORA.fullmatch(name)
        if match is not None:
            loras.setdefault(match[1], {})[match[2]] = weights[key]
        elif _FOREIGN.fullmatch(name):
            raise WeightsError(f"{path}: {key!r} belongs to a kind of adapter that headway does not have.")
        else:
            others[name] = weights[key]
    if not loras:
        raise WeightsError(f"{path} holds no adapter of linear layers.")
    return loras, others


def _by_all_names(model: Any) -> dict[str, HubLinear]:
    """The linear layers of ``model`` by every name that files have for them."""
    linears = hub_linears(model)
    others = {name: linear for linear in linears.values() for name in linear.also}
    return {**others, **linears}


def _choice(
    model: Any, linears: Mapping[str, HubLinear], module: str, config: LoraConfig, parts: Parts, path: Path
) -> Choice:
    """The layers that the adapter of the hub's ``module`` belongs to; raises ``WeightsError`` where it fits none."""
    linear = linears.get(module)
    if linear is None:
        raise WeightsError(
            f"{path} adapts {module!r}, which is no linear layer of {type(model).__name__}."
            f"{did_you_mean(module, linears)}"
        )
    a, b = parts.get("lora_A"), parts.get("lora_B")
    if a is None or b is None or (config.use_dora and "lora_magnitude_vector" not in parts):
        raise WeightsError(f"{path} is damaged: the adapter of {module!r} lacks one of its tensors.")
    rank = a.shape[0]
    if a.shape != (rank, linear.width) or b.shape != (linear.outputs, rank):
        raise WeightsError(
            f"{path}: the adapter of {module!r} is for a layer from {a.shape[-1]} to {b.shape[0]} channels, but here "
            f"it goes from {linear.width} to {linear.outputs}; the adapter belongs to another model."
        )
    alpha = by_pattern(config.alpha_pattern, (module, *linear.paths), config.lora_alpha)
    return Choice(linear, tuple(range(len(linear.paths))), rank, alpha)


def _kept_values(model: Any, values: Parts, path: Path) -> Parts:
    """Whole parameters of a file by canonical names; raises ``WeightsError`` where the model lacks one."""
    places = parameter_places(model)
    names = {stored: place for place in places.values() for stored in (*place.also, place.stored)}
    shapes = {name: parameter.shape for name, parameter in model.named_parameters(remove_duplicate=False)}
    dtype, device = torch.promote_types(model.dtype, torch.float32), model.device
    found: Parts = {}
    for stored, tensor in values.items():
        place = names.get(stored)
        if place is None:
            raise WeightsError(
                f"{path} holds {stored!r}, which {type(model).__name__} does not have.{did_you_mean(stored, names)}"
            )
        for name, part in zip(place.parts, place.layout.load(tensor), strict=True):
            if part.shape != shapes[name]:
                raise WeightsError(
                    f"{path}: {stored!r} has shape {list(tensor.shape)}, but {name!r} has {list(shapes[name])} here: "
                    "load the base model with the adapter's number of labels (num_labels=), or tokens "
                    "(resize_token_embeddings)."
                )
            found[name] = part.to(device, dtype).clone()
    return found


@torch.no_grad()
def restore_adapter(model: Any, folder: str | os.PathLike[str], name: str) -> None:
    """Give the adapter ``name`` of ``model`` the values that ``save_adapter`` wrote, in place: an optimizer keeps it.

    Raises:
        CheckpointError: there is no adapter.
        WeightsError: it has other layers or ranks than that of ``model``.
    """
    source = locate(folder)
    path = source.require(*WEIGHTS_NAMES)
    weights = open_weights(source, name=path.name)
    here = {key: tuple(tensor.shape) for key, tensor in adapter_tensors(model, name).items()}
    if here != {key: weights.shape(key) for key in weights}:
        raise WeightsError(f"{path} is of another adapter: its layers or ranks are not those of {name!r} here.")
    loras, values = _sorted(weights, path)
    linears, kept = hub_linears(model), _kept_values(model, values, path)
    for module, parts in loras.items():
        for layer, rows in zip(linears[module].layers, linears[module].rows, strict=True):
            home = adapters_of(layer)
            if home is not None and name in home:
                lora = home.loras[name]
                lora.a.copy_(parts["lora_A"])
                lora.b.copy_(parts["lora_B"][rows])
                if lora.magnitude is not None:
                    lora.magnitude.copy_(parts["lora_magnitude_vector"][rows])
    for place, owner, home in adapted(model):
        one = home._modules.get(name)
        if isinstance(one, Kept):
            for leaf, parameter in one.own(owner).items():
                parameter.copy_(kept[f"{place}.{leaf}".lstrip(".")])
