"""Filling a model from a checkpoint's tensors, and the other way round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from headway.errors import WeightsError
from headway.io.report import LoadReport, Mismatch
from headway.io.weights import Weights
from headway.layouts import Same
from headway.names import Place, Translation
from headway.nn.lora import is_adapters
from headway.nn.quantised import Int4Linear, Int8Linear

_BESIDE = {name.removeprefix("weight") for kind in (Int8Linear, Int4Linear) for name in kind.as_stored}


@dataclass(frozen=True)
class Part:
    """A model of a family at ``path`` (with its dot) in a larger one, or the whole with an empty path."""

    path: str
    translation: Translation


class Slot(NamedTuple):
    """Where the parameter or buffer ``name`` of a model lies in files."""

    name: str
    place: Place
    part: Part | None

    @property
    def elsewhere(self) -> Slot | None:
        """The slot in files of other writers, where there are such."""
        if self.part is None:
            return None
        place = self.part.translation.elsewhere(self.name[len(self.part.path) :])
        return None if place is None else Slot(self.name, place.under(self.part.path), self.part)


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
        self.unused = set(weights)
        self.found: dict[str, Tensor] = {}
        self.new: list[str] = []
        self.mismatched: list[Mismatch] = []

    def run(self) -> LoadReport:
        """Look up every tensor; ``found`` then holds those that the file gives.

        Raises:
            WeightsError: a tensor of a backbone is missing or of another shape, or tied tensors differ in the file.
        """
        prefixes = {part.path: self._prefix(part) for part in self.parts}
        cache: dict[str, list[Tensor]] = {}
        for name, slot in self.slots.items():
            tensor, shape = self._tensor(slot, prefixes, cache), tuple(self.state[name].shape)
            if tensor is None:
                tensor = self._tensor(slot.elsewhere, prefixes, cache)
            if tensor is None:
                self.new.append(name)
                continue
            if tuple(tensor.shape) != shape:
                self.mismatched.append(Mismatch(name, tuple(tensor.shape), shape))
            else:
                self.found[name] = tensor
        self._check_ties(prefixes)
        self._check_backbone()
        ignored = {key for key in self.unused if self._ignored(key, prefixes)}
        return LoadReport(
            checkpoint=self.checkpoint,
            model=type(self.model).__name__,
            loaded=tuple(self.found),
            new=tuple(self.new),
            left_over=tuple(sorted(self.unused - ignored)),
            ignored=tuple(sorted(ignored)),
            mismatched=tuple(self.mismatched),
        )

    def _tensor(
        self, slot: Slot | None, prefixes: Mapping[str, tuple[str, str]], cache: dict[str, list[Tensor]]
    ) -> Tensor | None:
        """The file's tensor of a slot; ``cache`` keeps the parts of stored tensors that hold several."""
        if slot is None:
            return None
        place = slot.place
        if place.stored not in cache:
            key = self._key(slot, prefixes)
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

    def _prefix(self, part: Part) -> tuple[str, str]:
        """What stands before the backbone's and before the head's names in this file, seen from both sets of names."""
        own = part.path + part.translation.prefix
        mine = [(name, slot.place) for name, slot in self.slots.items() if slot.part is part]
        inner = f"{part.path}backbone."
        stored = {place.stored for name, place in mine if name.startswith(inner)}
        if all(name in self.weights for name in stored):
            backbone = own
        else:
            backbone = self._commonest({name.removeprefix(own) for name in stored}, own)
        head = backbone
        for base in sorted(part.translation.prefixes, key=len, reverse=True):
            if f".{backbone}".endswith(f".{base}"):
                head = backbone.removesuffix(base)
                break
        heads = {place.stored.removeprefix(part.path) for name, place in mine if not name.startswith(inner)}
        # Wrappers may hold the backbone alone: the head then stands beside one of them.
        for outer in (head, *_above(head)):
            if any(outer + name in self.weights for name in heads):
                return backbone, outer
        return backbone, head

    def _commonest(self, known: set[str], own: str) -> str:
        """What stands before most of the ``known`` names in this file; ``own`` where it is as good, or none is."""
        counts: Counter[str] = Counter()
        for key in self.weights:
            segments = key.split(".")
            for at in range(len(segments)):
                if _modern(".".join(segments[at:])) in known:
                    counts[".".join(segments[:at]) + "." if at else ""] += 1
        return max(counts, key=lambda prefix: (counts[prefix], prefix == own, -len(prefix)), default=own)

    def _key(self, slot: Slot, prefixes: Mapping[str, tuple[str, str]]) -> str | None:
        """The file's key of a slot, which counts as used then."""
        part, stored = slot.part, slot.place.stored
        if stored in self.weights and (part is None or prefixes[part.path][0] == part.path + part.translation.prefix):
            self.unused.discard(stored)
            return stored
        for key in self._spellings(slot, prefixes):
            if key in self.weights:
                self.unused.discard(key)
                return key
        return None

    def _spellings(self, slot: Slot, prefixes: Mapping[str, tuple[str, str]]) -> Iterable[str]:
        """The keys under which a file may hold a slot: its names, with what stands before names in this file."""
        part, names = slot.part, (slot.place.stored, *slot.place.also)
        if part is None:
            return names
        backbone, head = prefixes[part.path]
        own = part.path + part.translation.prefix
        if slot.name.startswith(f"{part.path}backbone."):
            return tuple(
                backbone + name.removeprefix(own) if name.startswith(own) else head + name.removeprefix(part.path)
                for name in names
            )
        return tuple(head + name.removeprefix(part.path) for name in names)

    def _check_ties(self, prefixes: Mapping[str, tuple[str, str]]) -> None:
        """Use up further names of tensors that are one here; refuse a file in which they differ though tied."""
        if not self.unused:
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
            for key in self._spellings(slot, prefixes):
                if key not in self.unused:
                    continue
                self.unused.discard(key)
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

    def _ignored(self, key: str, prefixes: Mapping[str, tuple[str, str]]) -> bool:
        for part in self.parts:
            for prefix in (*prefixes[part.path], ""):
                if key.startswith(prefix) and part.translation.ignores(key[len(prefix) :]):
                    return True
        return False


def _above(prefix: str) -> list[str]:
    """``a.b.`` stands in ``a.``, and that at the top."""
    segments = prefix.split(".")[:-1]
    return ["".join(f"{segment}." for segment in segments[:at]) for at in range(len(segments) - 1, -1, -1)]


def _modern(name: str) -> str:
    """``name`` without the spellings of norms in old TensorFlow conversions."""
    if name.endswith("LayerNorm.gamma"):
        return name.removesuffix("gamma") + "weight"
    return name.removesuffix("beta") + "bias" if name.endswith("LayerNorm.beta") else name


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
