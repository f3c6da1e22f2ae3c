"""Adapters put into the weights that they stand beside, and taken out again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from headway.adapters.add import apply, forget, set_adapter, state_of
from headway.errors import InputError
from headway.nn.lora import Adapters, adapted
from headway.nn.quantised import QuantisedLinear


def merge_adapter(model: Any, names: str | Sequence[str] | None = None) -> None:
    """Put the adapters ``names``, or those in use, into the weights: the same results at the speed of the base model.

    The weights are remembered until ``unmerge_adapter`` brings them back to the same bits.

    Raises:
        InputError: there is no such adapter, some are merged already, weights are quantised (what is small in them
            would be rounded away), or a layer shares its weight with the token table.
    """
    state = state_of(model)
    if state.merged:
        raise InputError("Adapters are merged already; call unmerge_adapter before merging others.")
    if names is not None:
        set_adapter(model, names)
    apply(model)
    layers = [(path, owner, home) for path, owner, home in adapted(model) if home.used]
    for path, owner, _ in layers:
        _check(model, path, owner)
    for _, owner, home in layers:
        home.merge(owner)
    state.merged = True
    apply(model)


def unmerge_adapter(model: Any) -> None:
    """Give layers the weights back that they had before ``merge_adapter``; the adapters are used beside them again.

    Raises:
        InputError: nothing is merged.
    """
    state = state_of(model)
    if not state.merged:
        raise InputError("No adapter is merged into the weights.")
    for _, owner, home in adapted(model):
        home.unmerge(owner)
    state.merged = False
    apply(model)


def merge_and_unload(model: Any, names: str | Sequence[str] | None = None) -> Any:
    """Put the adapters ``names``, or those in use, into the weights for good, and remove all others.

    Returns:
        The model itself, which now is one like any other: it can be saved, quantised and trained.

    Raises:
        InputError: as by ``merge_adapter``.
    """
    if not state_of(model).merged:
        merge_adapter(model, names)
    elif names is not None:
        raise InputError("Adapters are merged already; call unmerge_adapter to merge others, or pass no names.")
    forget(model)
    return model


def _check(model: nn.Module, path: str, layer: Any) -> None:
    if isinstance(layer, QuantisedLinear):
        raise InputError(
            f"{path!r} holds {type(layer).__name__.removesuffix('Linear').lower()} weights, in which an adapter would "
            "be rounded away: use it unmerged, or load the base model in full precision, merge there, and call "
            "quantize on the result."
        )
    weight = layer.weight
    for other, module in model.named_modules():
        if module is not layer and not isinstance(module, Adapters) and module._parameters.get("weight") is weight:
            raise InputError(
                f"{path!r} shares its weight with {other!r}, which a merge would change too: use the adapter unmerged."
            )


def check_plain(model: Any, what: str) -> None:
    """Raise ``InputError`` where ``what`` is to be done to a model that has adapters."""
    if model._adapters is not None:
        raise InputError(f"A model with adapters cannot be {what}: call merge_and_unload or delete_adapter first.")
