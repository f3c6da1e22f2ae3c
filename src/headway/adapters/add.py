"""Putting adapters beside the layers of a model, choosing which are in use, and taking them away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from headway.adapters.choose import Choice, choose
from headway.adapters.config import LoraConfig
from headway.errors import InputError, did_you_mean
from headway.nn.lora import HOME, Adapters, Kept, Lora, adapted, adapters_of, is_adapters, weight_of


@dataclass
class State:
    """Which adapters a model has, and what of the model learned before it had any."""

    trainable: frozenset[str]
    configs: dict[str, LoraConfig] = field(default_factory=dict)
    active: tuple[str, ...] = ()
    enabled: bool = True
    merged: bool = False


def add_adapter(model: Any, config: LoraConfig, name: str = "default") -> None:
    """Put a new adapter beside the layers of ``model`` that ``config`` names, and let it alone be used and learn.

    Layers that files hold as one (fused queries, keys and values) share the first of the adapter's two matrices, so
    that they are one layer's adapter in files too. New weights are of float32, or wider where the layer is.

    Raises:
        InputError: a name fits no layer, or the model has an adapter called ``name``.
        ConfigError: the config makes no sense.
    """
    config.check_new()
    check_name(model, name)
    choices, whole, resolved = choose(model, config)
    for choice in choices:
        layer = choice.linear.layers[0]
        place = {"device": model.device, "dtype": wide(layer)}
        a = torch.empty(choice.rank, choice.linear.width, **place)
        if config.init_lora_weights == "gaussian":
            a.normal_(0.0, 1 / choice.rank)
        else:
            a.uniform_(-(choice.linear.width**-0.5), choice.linear.width**-0.5)
        b = torch.zeros(choice.linear.outputs, choice.rank, **place)
        if config.init_lora_weights is False:
            b.uniform_(-(choice.rank**-0.5), choice.rank**-0.5)
        put(choice, resolved, name, a, b, None)
    parameters = dict(model.named_parameters(remove_duplicate=False))
    keep(model, name, {path: parameters[path].detach().clone() for path in whole})
    base = config.base_model_name_or_path or getattr(model.config, "name_or_path", None) or None
    enter(model, name, replace(resolved, base_model_name_or_path=base))


def wide(layer: nn.Module) -> torch.dtype:
    """The type of an adapter's numbers beside ``layer``: the layer's, but at least float32."""
    dtype = layer.weight.dtype if isinstance(layer.weight, Tensor) else torch.float32
    return torch.promote_types(dtype, torch.float32) if dtype.is_floating_point else torch.float32


def put(choice: Choice, config: LoraConfig, name: str, a: Tensor, b: Tensor, magnitude: Tensor | None) -> None:
    """Put the adapter ``name`` beside the layers of ``choice``.

    Args:
        a: ``[rank, in]``.
        b: ``[out, rank]``, the outputs in the order of files.
        magnitude: ``[out]`` in that order, or None to begin with that of the weights.
    """
    shared = nn.Parameter(a)
    scale = config.scale(choice.rank, choice.alpha)
    for at in choice.members:
        layer, rows = choice.linear.layers[at], choice.linear.rows[at].to(b.device)
        one = Lora(shared, b[rows].clone(), scale, config.lora_dropout, None)
        if config.use_dora:
            with torch.no_grad():
                own = one.onto(weight_of(layer).to(a), layer).norm(dim=1) if magnitude is None else magnitude[rows]
            one.magnitude = nn.Parameter(own.clone())
        _home(layer)[name] = one.train(layer.training)


def keep(model: nn.Module, name: str, values: Mapping[str, Tensor]) -> None:
    """Let the adapter ``name`` have ``values`` in the place of the parameters of these names."""
    owners: dict[str, dict[str, Tensor]] = {}
    for path, value in values.items():
        owner, _, leaf = path.rpartition(".")
        owners.setdefault(owner, {})[leaf] = value
    for owner, leaves in owners.items():
        _home(model.get_submodule(owner))[name] = Kept(leaves)


def _home(module: nn.Module) -> Adapters:
    if adapters_of(module) is None:
        module._modules[HOME] = Adapters().train(module.training)
    found = adapters_of(module)
    assert found is not None
    return found


def enter(model: Any, name: str, config: LoraConfig) -> None:
    """Make the adapter ``name``, which stands in the model, known to it, and let it alone be used."""
    state = model._adapters
    if state is None:
        state = model._adapters = State(frozenset(n for n, p in _own_parameters(model) if p.requires_grad))
        for _, parameter in _own_parameters(model):
            parameter.requires_grad_(False)
    state.configs[name] = config
    set_adapter(model, name)


def _own_parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, parameter) for name, parameter in model.named_parameters() if not is_adapters(name)]


def set_adapter(model: Any, names: str | Sequence[str]) -> None:
    """Use the adapters ``names``, one after another, and no others; those that may learn do.

    Raises:
        InputError: there is no such adapter, or two of them keep the same parameter whole.
    """
    state, chosen = state_of(model), _checked(model, names)
    if state.merged:
        raise InputError("Adapters are merged into the weights; call unmerge_adapter before choosing others.")
    _check_kept(model, chosen)
    state.active, state.enabled = chosen, True
    apply(model)


def _check_kept(model: nn.Module, names: tuple[str, ...]) -> None:
    for path, _, home in adapted(model):
        both = [name for name in names if name in home and isinstance(home[name], Kept)]
        if len(both) > 1:
            raise InputError(
                f"The adapters {both[0]!r} and {both[1]!r} both keep {path!r} whole (modules_to_save), so they cannot "
                "be used together; choose one of them."
            )


def apply(model: Any) -> None:
    """Bring layers in line with what the model's state says."""
    state = state_of(model)
    active = state.active if state.enabled else ()
    for _, owner, home in adapted(model):
        home.use(owner, active)
        for name, one in home.items():
            learns = name in active and not state.configs[name].inference_mode
            for parameter in one.own(owner).values() if isinstance(one, Kept) else one.parameters():
                parameter.requires_grad_(learns)


def enable_adapters(model: Any, enabled: bool = True) -> None:
    """Use the active adapters again; with False, leave the model as it was without any."""
    state = state_of(model)
    if state.merged and not enabled:
        raise InputError("Adapters are merged into the weights; call unmerge_adapter before switching them off.")
    state.enabled = enabled
    apply(model)


def delete_adapter(model: Any, names: str | Sequence[str]) -> None:
    """Take adapters away; without its last one, the model learns again as it did before the first.

    Raises:
        InputError: there is no such adapter, or adapters are merged.
    """
    state, gone = state_of(model), _checked(model, names)
    if state.merged:
        raise InputError("Adapters are merged into the weights; call unmerge_adapter before deleting one.")
    state.active = tuple(name for name in state.active if name not in gone)
    apply(model)
    for name in gone:
        del state.configs[name]
    for _, owner, home in adapted(model):
        for name in gone:
            if name in home:
                del home[name]
        if not home:
            del owner._modules[HOME]
    if not state.configs:
        forget(model)


def forget(model: Any) -> None:
    """Remove what is left of adapters, wherever they are; parameters learn as they did before the first adapter."""
    state = state_of(model)
    for _, owner, home in adapted(model):
        home.use(owner, [name for name, one in home.items() if isinstance(one, Kept) and one.placed])
        del owner._modules[HOME]
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in state.trainable)
    model._adapters = None


def state_of(model: Any) -> State:
    """Which adapters the model has.

    Raises:
        InputError: it has none.
    """
    state: State | None = model._adapters
    if state is None:
        raise InputError(f"This {type(model).__name__} has no adapter; add_adapter or load_adapter brings one.")
    return state


def check_name(model: Any, name: str) -> None:
    """Raise ``InputError`` where no new adapter of ``model`` can be called ``name``."""
    if not isinstance(name, str) or not name or "." in name or hasattr(Adapters(), name):
        raise InputError(f"An adapter cannot be called {name!r}; take a word without dots, such as 'default'.")
    state: State | None = model._adapters
    if state is None:
        return
    if name in state.configs:
        raise InputError(f"The model has an adapter {name!r} already; give this one another name, or delete the other.")
    if state.merged:
        raise InputError("Adapters are merged into the weights; call unmerge_adapter before adding one.")


def _checked(model: Any, names: str | Sequence[str]) -> tuple[str, ...]:
    known = state_of(model).configs
    chosen = (names,) if isinstance(names, str) else tuple(names)
    for name in chosen:
        if name not in known:
            raise InputError(
                f"The model has no adapter {name!r}; it has {', '.join(map(repr, known))}.{did_you_mean(name, known)}"
            )
    return chosen
