"""How the tensors of a file fit a family's backbone with a head: what loading it would say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from headway import spec
from headway.config import PreTrainedConfig
from headway.io.header import Entry
from headway.io.packed import beside, pairs
from headway.layouts import Same
from headway.models.keys import Keys, Part, Slot
from headway.models.plan import Plan
from headway.parameters import Tensor, head_parameters, parameters_of

OUTPUT = "head.lm.decoder.weight"
_LATER = re.compile(r"(^|\.)layers\.(?!0\.)\d+\.")
# What lies beside the weights of headway's own quantised layers.
_SCALES = (".weight_scale", ".weight_zero")


@dataclass(frozen=True)
class Fit:
    """What of a model a file holds, by the names in the file.

    ``missing`` are tensors of the backbone that are not there, ``unfitting`` of another shape: either is an error when
    loading. ``new`` are those of the head (and of the pooler) that would be drawn at random, ``own`` the keys that it
    has of the file.
    """

    missing: tuple[str, ...]
    unfitting: tuple[str, ...]
    new: tuple[str, ...]
    own: frozenset[str]
    left_over: tuple[str, ...]


class Held(NamedTuple):
    """A tensor of a file that is loaded as one: its shape, None where that of its codes is another."""

    shape: tuple[int, ...] | None


def tensors_of(plan: Plan, config: PreTrainedConfig) -> dict[str, Tensor]:
    """All tensors of a plan's network by canonical names; an output layer that is surely tied is not there twice."""
    found = {f"backbone.{name}": it for name, it in parameters_of(plan.backbone, plan.pooled, plan.parts)}
    if plan.head is not None:
        head = head_parameters(plan.head, plan.recipe, plan.backbone, config)
        found |= {f"head.{name}": it for name, it in head}
    if plan.tie(config) == "always":
        found.pop(OUTPUT, None)
    return found


def held(entries: Mapping[str, Entry]) -> dict[str, Held]:
    """The tensors of a file under the names that they are loaded by: codes and scales are one."""
    packed = pairs({name: entry.kind for name, entry in entries.items()})
    hidden = beside(packed)
    found = {name: Held(entry.shape) for name, entry in entries.items() if name not in hidden}
    for name, pair in packed.items():
        found[name] = Held(None if pair.is_mxfp4 else entries[name].shape)
    for name in list(found):
        end = next((end for end in _SCALES if name.endswith(end)), None)
        weight = name.removesuffix(end or "") + ".weight"
        if end is not None and weight in found and entries[weight].kind in ("int8", "uint8"):
            del found[name]
            found[weight] = Held(None if entries[weight].kind == "uint8" else found[weight].shape)
    return found


def fit(plan: Plan, config: PreTrainedConfig, stored: Mapping[str, Held], name: str, whole: bool = True) -> Fit:
    """Match the network of ``plan`` with what a file holds.

    Args:
        plan: backbone and head.
        config: the checkpoint's.
        stored: the file's tensors.
        name: the class that the network would be of.
        whole: look at all layers; else at the first of each stack, which tells of the head as much.
    """
    tensors = tensors_of(plan, config)
    part = Part("", plan.translation)
    kept = tensors if whole else {key: it for key, it in tensors.items() if not _LATER.search(key)}
    slots = {key: Slot(key, plan.translation.place(key), part) for key in kept}
    keys = Keys(slots, (part,), stored)
    found, absent, wrong = {}, [], []
    for canonical, slot in slots.items():
        used, key = _key(slot, keys)
        if key is None:
            absent.append(canonical)
        elif not _fits(used, tensors, stored[key]):
            wrong.append(canonical)
        else:
            found[canonical] = key
    ties = _ties(plan, tensors, part)
    for canonical, slot in (*slots.items(), *ties):
        for key in keys.spellings(slot):
            if key in keys.unused:
                keys.unused.discard(key)
                if canonical in absent:
                    absent.remove(canonical)
                    found[canonical] = key
    if OUTPUT in absent and _is_tied(plan, config, tensors, name):
        absent.remove(OUTPUT)

    def names(which: list[str], inner: bool) -> tuple[str, ...]:
        return tuple(slots[key].place.stored for key in which if _is_fixed(key) == inner)

    return Fit(
        missing=names(absent, True),
        unfitting=names(wrong, True),
        new=names(absent, False) + names(wrong, False),
        own=frozenset(key for canonical, key in found.items() if canonical.startswith("head.")),
        left_over=tuple(sorted(key for key in keys.unused if not keys.ignores(key))) if whole else (),
    )


def _key(slot: Slot, keys: Keys) -> tuple[Slot, str | None]:
    """The slot and the key under which the file holds a tensor, in the family's form or in that of other writers."""
    key = keys.key(slot)
    if key is None and (other := slot.elsewhere) is not None:
        return other, keys.key(other)
    return slot, key


def _fits(slot: Slot, tensors: Mapping[str, Tensor], stored: Held) -> bool:
    """Has what is stored the shape of the tensors that it holds? Of several that lie in one, all are counted."""
    if stored.shape is None:
        return True
    if isinstance(slot.place.layout, Same):
        return stored.shape == tensors[slot.name].shape
    return prod(stored.shape) == sum(tensors[name].size for name in slot.place.parts)


def _ties(plan: Plan, tensors: Mapping[str, Tensor], part: Part) -> Iterator[tuple[str, Slot]]:
    """The token table under the names of an output layer that is tied to it."""
    if plan.lm is not None and OUTPUT not in tensors:
        yield table_of(tensors), Slot(OUTPUT, plan.translation.place(OUTPUT), part)


def table_of(tensors: Mapping[str, Tensor]) -> str:
    """The canonical name of the token table that an output layer is tied to."""
    names = ("tokens", *(f"{side}embed.tokens" for side in ("", *(f"{side}." for side in reversed(spec.SIDES)))))
    return next(key for name in names if (key := f"backbone.{name}.weight") in tensors)


def _is_tied(plan: Plan, config: PreTrainedConfig, tensors: Mapping[str, Tensor], name: str) -> bool:
    """Would loading take the token table for an output layer that the file does not have?"""
    if plan.tie(config) == "if_absent":
        return True
    return plan.was_tied(config, name) and tensors[OUTPUT].shape == tensors[table_of(tensors)].shape


def _is_fixed(name: str) -> bool:
    """Must the file have it?"""
    return name.startswith("backbone.") and not name.startswith("backbone.pooler.")
