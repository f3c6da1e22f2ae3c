"""Which key of a file each tensor of a model has, whatever stands before the names there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from headway.names import Place, Translation


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


class Keys:
    """The keys of a file as those of the tensors ``slots``; ``unused`` are those that no tensor has had yet."""

    def __init__(self, slots: Mapping[str, Slot], parts: Iterable[Part], stored: Collection[str]) -> None:
        self.slots, self.parts, self.stored = slots, tuple(parts), stored
        self.unused = set(stored)
        self.prefixes = {part.path: self._prefix(part) for part in self.parts}

    def key(self, slot: Slot) -> str | None:
        """The file's key of a slot, which counts as used then."""
        part, stored = slot.part, slot.place.stored
        if stored in self.stored and (
            part is None or self.prefixes[part.path][0] == part.path + part.translation.prefix
        ):
            self.unused.discard(stored)
            return stored
        for key in self.spellings(slot):
            if key in self.stored:
                self.unused.discard(key)
                return key
        return None

    def spellings(self, slot: Slot) -> Iterable[str]:
        """The keys under which a file may hold a slot: its names, with what stands before names in this file."""
        part, names = slot.part, (slot.place.stored, *slot.place.also)
        if part is None:
            return names
        backbone, head = self.prefixes[part.path]
        own = part.path + part.translation.prefix
        if slot.name.startswith(f"{part.path}backbone."):
            return tuple(
                backbone + name.removeprefix(own) if name.startswith(own) else head + name.removeprefix(part.path)
                for name in names
            )
        return tuple(head + name.removeprefix(part.path) for name in names)

    def ignores(self, key: str) -> bool:
        """Is ``key`` one that holds no parameter?"""
        for part in self.parts:
            for prefix in (*self.prefixes[part.path], ""):
                if key.startswith(prefix) and part.translation.ignores(key[len(prefix) :]):
                    return True
        return False

    def _prefix(self, part: Part) -> tuple[str, str]:
        """What stands before the backbone's and before the head's names in this file, seen from both sets of names."""
        own = part.path + part.translation.prefix
        mine = [(name, slot.place) for name, slot in self.slots.items() if slot.part is part]
        inner = f"{part.path}backbone."
        stored = {place.stored for name, place in mine if name.startswith(inner)}
        if all(name in self.stored for name in stored):
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
            if any(outer + name in self.stored for name in heads):
                return backbone, outer
        return backbone, head

    def _commonest(self, known: set[str], own: str) -> str:
        """What stands before most of the ``known`` names in this file; ``own`` where it is as good, or none is."""
        counts: Counter[str] = Counter()
        for key in self.stored:
            segments = key.split(".")
            for at in range(len(segments)):
                if _modern(".".join(segments[at:])) in known:
                    counts[".".join(segments[:at]) + "." if at else ""] += 1
        return max(counts, key=lambda prefix: (counts[prefix], prefix == own, -len(prefix)), default=own)


def _above(prefix: str) -> list[str]:
    """``a.b.`` stands in ``a.``, and that at the top."""
    segments = prefix.split(".")[:-1]
    return ["".join(f"{segment}." for segment in segments[:at]) for at in range(len(segments) - 1, -1, -1)]


def _modern(name: str) -> str:
    """``name`` without the spellings of norms in old TensorFlow conversions."""
    if name.endswith("LayerNorm.gamma"):
        return name.removesuffix("gamma") + "weight"
    return name.removesuffix("beta") + "bias" if name.endswith("LayerNorm.beta") else name
