"""``Inspection``: what was seen of a checkpoint, for people, for programs and for notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from headway.inspection.files import TokenizerFacts
from headway.inspection.fit import Fit
from headway.inspection.picture import Block, count

_SHOWN = 6
_STATES = {"trained": "trained here", "fits": "also fit", "new": "would be new", "impossible": "not possible"}


@dataclass(frozen=True)
class Weights:
    """The weights as they are stored: their files, bytes by dtype, and how they were quantised, if they were."""

    files: tuple[str, ...]
    dtypes: Mapping[str, int]
    quantised: str | None

    @property
    def size(self) -> int:
        """Bytes of all."""
        return sum(self.dtypes.values())


@dataclass(frozen=True)
class Inspection:
    """What a checkpoint is, seen from its config and the headers of its files.

    Attributes:
        name: as it was asked for.
        model_type: its family.
        model: the class that it was saved as, or that is next to it here.
        head: the head of that class; None for the bare backbone.
        picture: its architecture.
        parameters: how many it has, tied ones once; ``active`` are those that a token meets.
        weights: how they are stored; None where there are none, or where a pickle does not tell.
        fit: how the file fits ``model``; None where the file does not tell.
        heads: each head that the backbone takes: ``"trained"`` in this file, ``"fits"`` where the file's head has its
            names and shapes but was trained for another, ``"new"`` where its weights would be drawn, ``"impossible"``
            where the file lacks what it reads of the backbone, or ``"unknown"``.
        tasks: pipelines that the file is trained for, first the one that ``pipeline`` takes by itself.
        memory: bytes of the weights by dtype.
        cache: bytes of a cache of ``cache_tokens`` tokens in each of ``cache_rows`` rows, in the dtype of the weights;
            None for a model that keeps none.
        tokenizer: facts of the tokenizer; None where there is none.
        card: what the model's card says.
        notes: what one should know besides.
    """

    name: str
    model_type: str
    model: str
    head: str | None
    picture: Block
    parameters: int
    active: int
    weights: Weights | None
    fit: Fit | None
    heads: Mapping[str, str]
    tasks: tuple[str, ...]
    memory: Mapping[str, int]
    cache: int | None
    cache_tokens: int
    cache_rows: int
    tokenizer: TokenizerFacts | None
    card: Mapping[str, Any]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values for JSON."""
        fit, weights = self.fit, self.weights
        return {
            "name": self.name,
            "model_type": self.model_type,
            "model": self.model,
            "head": self.head,
            "parameters": {"total": self.parameters, "active": self.active},
            "architecture": self.picture.to_dict(),
            "weights": weights
            and {
                "files": list(weights.files),
                "bytes": weights.size,
                "dtypes": dict(weights.dtypes),
                "quantised": weights.quantised,
            },
            "missing": fit and list(fit.missing),
            "unfitting": fit and list(fit.unfitting),
            "new": fit and list(fit.new),
            "left_over": fit and list(fit.left_over),
            "heads": dict(self.heads),
            "tasks": list(self.tasks),
            "memory": dict(self.memory),
            "cache": self.cache and {"tokens": self.cache_tokens, "rows": self.cache_rows, "bytes": self.cache},
            "tokenizer": self.tokenizer and self.tokenizer.to_dict(),
            "card": dict(self.card),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        rows = list(self._rows())
        left = max(len(name) for name, _ in rows)
        facts = "\n".join(f"{name:<{left}}  {text}" for name, text in rows)
        return f"{self.name}\n\n{self.picture}\n\n{facts}"

    def _repr_html_(self) -> str:
        style = "text-align:left;vertical-align:top;padding-right:1.5em;white-space:nowrap"
        rows = "".join(
            f"<tr><th style='{style}'>{escape(name)}</th><td style='text-align:left'>{escape(text)}</td></tr>"
            for name, text in self._rows()
        )
        picture = f"<div style='margin:0 0 1.2em -1.2em'>{self.picture.to_html()}</div>"
        return f"<div style='line-height:1.5'><h4>{escape(self.name)}</h4>{picture}<table>{rows}</table></div>"

    def _rows(self) -> Iterator[tuple[str, str]]:
        """All but the picture, as lines."""
        active = "" if self.active == self.parameters else f", of which a token meets {count(self.active)}"
        yield "parameters", f"{self.parameters:,}{active}"
        if self.weights is not None:
            kinds = ", ".join(f"{kind} {size(number)}" for kind, number in self.weights.dtypes.items())
            files = self.weights.files[0] + (f" and {len(self.weights.files) - 1} more" * (len(self.weights.files) > 1))
            yield "stored", f"{files}: {kinds}"
        yield "in memory", ", ".join(f"{kind} {size(number)}" for kind, number in self.memory.items())
        if self.cache is not None:
            times = "" if self.cache_rows == 1 else f" x {self.cache_rows} rows"
            yield "cache", f"{size(self.cache)} for {self.cache_tokens:,} tokens{times}"
        for state, said in _STATES.items():
            if heads := [head for head, found in self.heads.items() if found == state]:
                yield f"heads {said}", ", ".join(heads)
        if self.tasks:
            yield "tasks", ", ".join(self.tasks)
        if self.fit is not None:
            for name, keys in (
                ("missing", self.fit.missing),
                ("of another shape", self.fit.unfitting),
                ("left over", self.fit.left_over),
            ):
                if keys:
                    yield name, listed(keys)
        yield from self._files()
        for note in self.notes:
            yield "note", note

    def _files(self) -> Iterator[tuple[str, str]]:
        facts = self.tokenizer
        if facts is not None:
            said = [facts.kind, facts.name, facts.file, facts.longest and f"at most {facts.longest:,} tokens"]
            yield "tokenizer", ", ".join(str(part) for part in said if part)
            if facts.special:
                yield "special tokens", " ".join(dict.fromkeys(facts.special.values()))
            told = [name + (" with tools" if "tools" in text else "") for name, text in facts.template.items()]
            yield "chat template", ", ".join(told) or "none"
        for name, value in self.card.items():
            yield name.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def size(number: int) -> str:
    """Bytes in few digits, in the units of memory: ``417.6 MiB``."""
    for unit, width in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if number >= width:
            return f"{number / width:.1f} {unit}"
    return f"{number} bytes"


def listed(names: tuple[str, ...]) -> str:
    """The first of several names, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
