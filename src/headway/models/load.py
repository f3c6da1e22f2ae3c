"""Filling a model from a checkpoint's tensors, and the other way round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from headway.errors import WeightsError
from headway.io.report import LoadReport, Mismatch
from headway.io.weights import Weights
from headway.layouts import Same
from headway.models.keys import Keys, Part, Slot
from headway.names import Place
from headway.nn.lora import is_adapters
from headway.nn.quantised import Int4Linear, Int8Linear

_BESIDE = {name.removeprefix("weight") for kind in (Int8Linear, Int4Linear) for name in kind.as_stored}


def slots(model: nn.Module, parts: Iterable[Part]) -> dict[str, Slot]:
    """Each tensor of ``model`` that files hold, by canonical name; tied ones once, under their first name."""
    return _slots(model.state_dict(keep_vars=True), parts)


def _slots(state: Mapping[str, Tensor], parts: Iterable[Part]) -> dict[str, Slot]:
    parts = tuple(parts)
    found: dict[str, Slot] = {}
    seen: set[int] = set()
    for name, tensor in state.items():
        if id(tensor) in seen or is_adapters(name):
            continue
        seen.add(id(tensor))
        part = next((part for part in parts if name.startswith(part.path)), None)
        if part is None:
            found[name] = Slot(name, Place(name, Same(), 0, (name,)), None)
            continue
        # What belongs to a quantised weight lies beside it.
        end = next((end for end in _BESIDE if name.endswith(f".weight{end}")), "")
        place = part.translation.place(name[len(part.path) :].removesuffix(end))
        found[name] = Slot(name, (place.beside(end) if end else place).under(part.path), part)
    return found


def ties(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Names of tensors in ``state`` that are another's, to that other's first name."""
    first: dict[int, str] = {}
    return {name: first[id(tensor)] for name, tensor in state.items() if first.setdefault(id(tensor), name) != name}


def stored_tensors(model: nn.Module, parts: Iterable[Part]) -> dict[str, Tensor]:
    """The tensors of ``model`` by the names and in the layouts of checkpoint files."""
    state = model.state_dict(keep_vars=True)
    found: dict[str, Tensor] = {}
    for slot in _slots(state, parts).values():
        if slot.place.part == 0:
            found[slot.place.stored] = slot.place.layout.save([state[name].detach() for name in slot.place.parts])
    return found


class Loader:
    """One load: finds each tensor's key, checks its shape, and keeps account of what happened."""

    def __init__(self, model: Any, parts: Iterable[Part], weights: Weights, checkpoint: str) -> None:
        self.model, self.parts, self.weights, self.checkpoint = model, tuple(parts), weights, checkpoint
        self.state = model.state_dict(keep_vars=True)
        self.slots = _slots(self.state, self.parts)
        self.keys = Keys(self.slots, self.parts, weights)
        self.found: dict[str, Tensor] = {}
        self.new: list[str] = []
        self.mismatched: list[Mismatch] = []

    def run(self) -> LoadReport:
        """Look up every tensor; ``found`` then holds those that the file gives.

        Raises:
            WeightsError: a tensor of a backbone is missing or of another shape, or tied tensors differ in the file.
        """
        cache: dict[str, list[Tensor]] = {}
        for name, slot in self.slots.items():
            tensor, shape = self._tensor(slot, cache), tuple(self.state[name].shape)
            if tensor is None:
                tensor = self._tensor(slot.elsewhere, cache)
            if tensor is None:
                self.new.append(name)
                continue
            if tuple(tensor.shape) != shape:
                self.mismatched.append(Mismatch(name, tuple(tensor.shape), shape))
            else:
                self.found[name] = tensor
        self._check_ties()
        self._check_backbone()
        ignored = {key for key in self.keys.unused if self.keys.ignores(key)}
        return LoadReport(
            checkpoint=self.checkpoint,
            model=type(self.model).__name__,
            loaded=tuple(self.found),
            new=tuple(self.new),
            left_over=tuple(sorted(self.keys.unused - ignored)),
            ignored=tuple(sorted(ignored)),
            mismatched=tuple(self.mismatched),
        )

    def _tensor(self, slot: Slot | None, cache: dict[str, list[Tensor]]) -> Tensor | None:
        """The file's tensor of a slot; ``cache`` keeps the parts of stored tensors that hold several."""
        if slot is None:
            return None
        place = slot.place
        if place.stored not in cache:
            key = self.keys.key(slot)
            cache[place.stored] = [] if key is None else self._parts_of(key, place)
        return cache[place.stored][place.part] if cache[place.stored] else None

    def _parts_of(self, key: str, place: Place) -> list[Tensor]:
        """The canonical tensors that the file's ``key`` holds."""
        stored = self.weights[key]
        try:
            parts = place.layout.load(stored)
        except (IndexError, RuntimeError):
            parts = []
        if len(parts) != len(place.parts):
            raise WeightsError(
                f"{self.checkpoint}: {key!r} has shape {list(stored.shape)}, which does not hold "
                f"{' and '.join(place.parts)}; the config does not belong to this file."
            )
        return parts

    def _check_ties(self) -> None:
        """Use up further names of tensors that are one here; refuse a file in which they differ though tied."""
        if not self.keys.unused:
            return
        tied = self.model.config.tie_word_embeddings
        aliases: list[tuple[str, Slot]] = [(slot.name, slot) for slot in self.slots.values()]
        for alias, name in ties(self.state).items():
            part = self.slots[name].part
            if part is not None and alias.startswith(part.path):
                place = part.translation.place(alias[len(part.path) :]).under(part.path)
            else:
                place = Place(alias, Same(), 0, (alias,))
            aliases.append((name, Slot(alias, place, part)))
        for name, slot in aliases:
            for key in self.keys.spellings(slot):
                if key not in self.keys.unused:
                    continue
                self.keys.unused.discard(key)
                tensor = self._parts_of(key, slot.place)[slot.place.part]
                if name not in self.found:
                    self.found[name] = tensor
                    self.new = [other for other in self.new if other != name]
                elif tied and not torch.equal(self.found[name], tensor):
                    raise WeightsError(
                        f"{self.checkpoint}: {key!r} differs from {self.slots[name].place.stored!r}, but the config "
                        "ties the two; set tie_word_embeddings=False in config.json, or mend the file."
                    )

    def _check_backbone(self) -> None:
        def fixed(name: str) -> bool:
            part = self.slots[name].part
            if part is None:
                return False
            return name.startswith(f"{part.path}backbone.") and not name.startswith(f"{part.path}backbone.pooler.")

        missing = [self.slots[name].place.stored for name in self.new if fixed(name)]
        if missing:
            raise WeightsError(
                f"{self.checkpoint} lacks {len(missing)} tensor{'s' * (len(missing) > 1)} of the "
                f"{type(self.model).__name__} backbone: {_listed(missing)}; it is not a checkpoint of this config."
            )
        for name, file_shape, model_shape in self.mismatched:
            if fixed(name):
                raise WeightsError(
                    f"{self.checkpoint}: {self.slots[name].place.stored!r} has shape {list(file_shape)} but the config "
                    f"asks for {list(model_shape)}; the config does not belong to this file."
                )
        if not self.found:
            raise WeightsError(
                f"{self.checkpoint} holds no tensor of {type(self.model).__name__}; it holds "
                f"{_listed(sorted(self.weights))}."
            )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:6])
    return shown if len(names) <= 6 else f"{shown} and {len(names) - 6} more"


@torch.no_grad()
def assign(model: nn.Module, tensors: Mapping[str, Tensor], dtype: torch.dtype | None) -> None:
    """Put ``tensors`` in the place of the parameters and buffers of their names, without a copy.

    Floating-point ones are converted to ``dtype`` where one is given, but for those that their module keeps in
    float32 or as they are stored. Tied parameters stay tied.
    """
    modules = dict(model.named_modules())
    replaced: dict[int, tuple[nn.Parameter, nn.Parameter]] = {}  # holds the old ones, so that no id comes twice
    for name, tensor in tensors.items():
        path, _, leaf = name.rpartition(".")
        owner = modules[path]
        if leaf in getattr(owner, "float32", ()):
            tensor = tensor.float()
        elif leaf in getattr(owner, "as_stored", ()):
            pass
        elif dtype is not None and tensor.is_floating_point() and tensor.dtype != dtype:
            tensor = tensor.to(dtype)
        old = owner._parameters.get(leaf)
        if old is None:
            owner._buffers[leaf] = tensor
            continue
        new = nn.Parameter(tensor, requires_grad=old.requires_grad and tensor.is_floating_point())
        owner._parameters[leaf] = new
        replaced[id(old)] = (old, new)
    for module in modules.values():
        for leaf, parameter in module._parameters.items():
            if id(parameter) in replaced:
                module._parameters[leaf] = replaced[id(parameter)][1]
