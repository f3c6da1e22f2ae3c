"""The table between headway's canonical parameter names and a checkpoint's, read in both directions.

A row maps module paths (``weight`` and ``bias`` come along) or whole tensor names. Templates match by segment:
a literal wins over ``{i}``, which stands for one number. Since rows are checked to be unambiguous when a table is
made, the way back exists by construction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from headway.errors import ConfigError
from headway.layouts import SAME, Layout

LEAVES = ("weight", "bias")


@dataclass(frozen=True)
class Stored:
    """The checkpoint's side of a row: a name template, how the tensor lies there, and names that other files use."""

    name: str
    layout: Layout = SAME
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Names:
    """A family's table.

    ``prefix`` is the attribute under which the checkpoint keeps the backbone beside a head; ``prefixes`` overrides it
    by head. ``backbone`` and ``heads[head]`` map canonical templates (one, or several that a layout joins) to stored
    ones; a head's row that begins with ``backbone.`` takes the place of the backbone's own, where there is one.
    ``read`` holds further rows of the backbone, by which other files store what ``backbone`` names; nothing is saved
    so. ``ignore`` lists stored names that hold no parameter; one that ends in ``.*`` stands for all beneath it.
    """

    prefix: str
    backbone: Mapping[Any, str | Stored]
    heads: Mapping[str, Mapping[str, str | Stored]] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    read: Mapping[Any, str | Stored] = field(default_factory=dict)

    def prefix_for(self, head: str) -> str:
        """The backbone's prefix in files that carry ``head``, with its dot; empty for the bare backbone."""
        prefix = "" if head == "base" else self.prefixes.get(head, self.prefix)
        return prefix and prefix + "."

    def count(self, keys: Iterable[str]) -> int:
        """How many of ``keys`` name a tensor of the backbone, under its prefix."""
        stored = Templates()
        for row in each("", self.prefix, self.backbone).values():
            stored.add(row if isinstance(row, str) else row.name, True)
        return sum(any(stored.find(name) is not None for name in (key, key.rpartition(".")[0])) for key in keys)

    def part(self, name: str) -> Names:
        """The table of the backbone's part ``name`` as a backbone of its own; in files it is called what it was."""
        inner = f"{name}."

        def own(rows: Mapping[Any, str | Stored]) -> dict[Any, str | Stored]:
            return {
                key.removeprefix(inner) if isinstance(key, str) else tuple(x.removeprefix(inner) for x in key): stored
                for key, stored in rows.items()
                if (key if isinstance(key, str) else key[0]).startswith(inner)
            }

        return replace(self, backbone=own(self.backbone), read=own(self.read))


def each(ours: str, theirs: str, rows: Mapping[Any, Any]) -> dict[Any, Any]:
    """Put ``ours`` and ``theirs`` (where not empty) before every row: the rows of one layer become those of all.

    A row with alternatives on both sides, ``{q,k}`` to ``{query,key}``, stands for one row each.
    """
    before, above = theirs and f"{theirs}.", ours and f"{ours}."

    def stored(value: str | Stored) -> str | Stored:
        if isinstance(value, str):
            return before + value
        return Stored(before + value.name, value.layout, tuple(before + name for name in value.also))

    def canonical(key: str | tuple[str, ...]) -> str | tuple[str, ...]:
        return above + key if isinstance(key, str) else tuple(above + part for part in key)

    found: dict[Any, Any] = {}
    for key, value in rows.items():
        if isinstance(key, str) and isinstance(value, str):
            found |= dict(zip(_alternatives(above + key), _alternatives(before + value), strict=True))
        else:
            found[canonical(key)] = stored(value)
    return found


def _alternatives(template: str) -> list[str]:
    """``a.{b,c}`` as ``a.b`` and ``a.c``; a placeholder ``{i}`` stays as it is."""
    comma = template.find(",")
    if comma < 0:
        return [template]
    start, end = template.rindex("{", 0, comma), template.index("}", comma)
    return [template[:start] + one + template[end + 1 :] for one in template[start + 1 : end].split(",")]


def language_model(path: str, tied: bool, hidden: str = "{dense,LayerNorm}") -> dict[str, str | Stored]:
    """Rows of a masked language model under ``path``, whose hidden layer and norm are called ``hidden``.

    The bias of its output layer stands beside that and in it; where the layer is not tied, the one in it counts.
    """
    own, other = ("bias", "decoder.bias") if tied else ("decoder.bias", "bias")
    bias = Stored(own, also=(other,))
    return each("lm", path, {"hidden.{dense,norm}": hidden, "decoder.weight": "decoder.weight", "decoder.bias": bias})


def stacks(encoder: Mapping[Any, Any], decoder: Mapping[Any, Any], shared: bool) -> dict[Any, Any]:
    """The rows of two stacks; their table of tokens is called ``shared``, or is ``embed_tokens`` of each."""
    rows = {**each("encoder", "encoder", encoder), **each("decoder", "decoder", decoder)}
    tables = {f"{side}.embed.tokens": f"{side}.embed_tokens" for side in ("encoder", "decoder")}
    return {**rows, **({"tokens": Stored("shared", also=tuple(tables.values()))} if shared else tables)}


class Templates:
    """Name templates as a tree of segments, so that a look-up needs neither regular expressions nor an order."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}

    def add(self, template: str, value: Any) -> None:
        """Enter ``template``; raises ``ConfigError`` where the same one stands already."""
        node = self._root
        for segment in template.split("."):
            node = node.setdefault("{}" if segment.startswith("{") else segment, {})
        if "" in node:
            raise ConfigError(f"The name {template!r} stands twice in one table of names; each may stand once.")
        node[""] = (template, value)

    def find(self, name: str) -> tuple[Any, dict[str, str]] | None:
        """The value for ``name`` and what its placeholders stand for, or None."""
        segments = name.split(".")

        def walk(node: dict[str, Any], at: int) -> Any:
            if at == len(segments):
                return node.get("")
            segment = segments[at]
            found = walk(node[segment], at + 1) if segment in node else None
            if found is None and "{}" in node and segment.isdecimal():
                found = walk(node["{}"], at + 1)
            return found

        entry = walk(self._root, 0)
        if entry is None:
            return None
        template, value = entry
        bound = {
            slot[1:-1]: segment
            for slot, segment in zip(template.split("."), segments, strict=True)
            if slot.startswith("{")
        }
        return value, bound

    def __iter__(self) -> Iterator[str]:
        def walk(node: dict[str, Any]) -> Iterator[str]:
            for key, child in node.items():
                if key == "":
                    yield child[0]
                else:
                    yield from walk(child)

        return walk(self._root)


@dataclass(frozen=True)
class Place:
    """Where a canonical tensor lies in a file: the stored name, the layout, its part, and all parts of the tensor.

    ``also`` holds further names that files use for the stored tensor.
    """

    stored: str
    layout: Layout
    part: int
    parts: tuple[str, ...]
    also: tuple[str, ...] = ()

    def under(self, path: str) -> Place:
        """The same place in a larger model that holds this one at ``path`` (with its dot)."""
        if not path:
            return self
        parts, also = (tuple(path + name for name in names) for names in (self.parts, self.also))
        return Place(path + self.stored, self.layout, self.part, parts, also)

    def beside(self, end: str) -> Place:
        """Where a tensor lies that belongs to this one, such as its scales: in the same layout, under longer names."""
        parts, also = (tuple(name + end for name in names) for names in (self.parts, self.also))
        return Place(self.stored + end, self.layout, self.part, parts, also)


class Translation:
    """A family's table for one head, ready to translate canonical tensor names to stored ones."""

    def __init__(self, names: Names, head: str, head_rows: Mapping[str, str | Stored]) -> None:
        self._ignored = Templates()
        for template in names.ignore:
            if not template.endswith(".*"):
                self._ignored.add(template, True)
        self._ignored_beneath = tuple(template[:-1] for template in names.ignore if template.endswith(".*"))
        self.prefix = names.prefix_for(head)
        self.prefixes = {f"{prefix}." for prefix in (names.prefix, *names.prefixes.values()) if prefix}
        own = each("", "", head_rows)
        backbone = {ours: own.get(f"backbone.{ours}", theirs) for ours, theirs in each("", "", names.backbone).items()}
        rows: dict[Any, Any] = each("backbone", self.prefix[:-1], backbone)
        rows |= {f"head.{ours}": theirs for ours, theirs in own.items() if not ours.startswith("backbone.")}
        self._rows = _Rows(rows)
        self._read = _Rows(each("backbone", self.prefix[:-1], names.read)) if names.read else None

    def place(self, name: str) -> Place:
        """Where the canonical tensor ``name`` lies; a name that no row covers keeps its own after ``head.``."""
        found = self._rows.place(name)
        if found is None:
            if name.startswith("backbone."):
                raise ConfigError(f"No row of the family's table of names covers the parameter {name!r}; add one.")
            found = Place(name.removeprefix("head."), SAME, 0, (name,))
        return found

    def elsewhere(self, name: str) -> Place | None:
        """Where other files hold the canonical tensor ``name``, if there are such files."""
        return None if self._read is None else self._read.place(name)

    def ignores(self, stored: str) -> bool:
        """Is ``stored`` (without any prefix) a name that holds no parameter?"""
        return self._ignored.find(stored) is not None or stored.startswith(self._ignored_beneath)


class _Rows:
    """Rows of a table, checked to be unambiguous."""

    def __init__(self, rows: Mapping[Any, str | Stored]) -> None:
        self._rows = Templates()
        # The names of all parts, by their templates and the stored tensor: there may be as many as experts.
        self._parts: dict[tuple[tuple[str, ...], str], tuple[str, ...]] = {}
        self._places: dict[str, Place | None] = {}
        taken = Templates()
        for ours, theirs in rows.items():
            stored = theirs if isinstance(theirs, Stored) else Stored(theirs)
            group = (ours,) if isinstance(ours, str) else ours
            taken.add(stored.name, None)
            for part, template in enumerate(group):
                self._rows.add(template, (stored, part, group))

    def place(self, name: str) -> Place | None:
        """Where the canonical tensor ``name`` lies, or None where no row covers it."""
        if name not in self._places:
            self._places[name] = self._place(name)
        return self._places[name]

    def _place(self, name: str) -> Place | None:
        module, _, leaf = name.rpartition(".")
        found = self._rows.find(module) if leaf in LEAVES else None
        leaf = "" if found is None else f".{leaf}"
        if found is None:
            found = self._rows.find(name)
        if found is None:
            return None
        (row, part, group), bound = found
        stored, *also = (name.format(**bound) + leaf for name in (row.name, *row.also))
        parts = self._parts.get((group, stored))
        if parts is None:
            parts = self._parts[group, stored] = tuple(template.format(**bound) + leaf for template in group)
        return Place(stored, row.layout, part, parts, (*also, *older_spellings(stored)))


def translation(names: Names, head: str, head_rows: Mapping[str, str | Stored]) -> Translation:
    """The ``Translation`` of these rows; equal rows share one, and with it the names that it has translated."""
    tables = (tuple(table.items()) for table in (names.prefixes, names.backbone, names.read, head_rows))
    return _translation(names.prefix, names.ignore, head, *tables)


@lru_cache(maxsize=16)
def _translation(
    prefix: str, ignore: tuple[str, ...], head: str, prefixes: Any, backbone: Any, read: Any, rows: Any
) -> Translation:
    names = Names(prefix, dict(backbone), prefixes=dict(prefixes), read=dict(read), ignore=ignore)
    return Translation(names, head, dict(rows))


def older_spellings(stored: str) -> tuple[str, ...]:
    """What conversions from TensorFlow call a tensor of a ``LayerNorm``; of other modules, nothing."""
    module, _, leaf = stored.rpartition(".")
    if module.rpartition(".")[2] != "LayerNorm" or leaf not in LEAVES:
        return ()
    return (f"{module}.{'gamma' if leaf == 'weight' else 'beta'}",)
