"""The options of a pipeline: fields of a frozen dataclass, checked when they are set, shown by the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self

from headway.errors import InputError, did_you_mean


def option(
    default: Any,
    help: str,
    kind: type | None = None,
    *,
    least: int = 1,
    choices: tuple[str, ...] = (),
    none: str | None = None,
) -> Any:
    """A field of ``Options``.

    Args:
        default: its value where nothing is said; it is always allowed.
        help: what it does, in a few words.
        kind: ``int``, ``float``, ``bool``, ``str``, or ``list`` for texts; None keeps it from the command line and
            unchecked.
        least: the smallest ``int`` that makes sense.
        choices: the texts that are allowed.
        none: the word that stands for None on the command line, where None is allowed.
    """
    meta = {"help": help, "kind": kind, "least": least, "choices": choices, "none": none}
    return field(default=default, metadata=meta)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every pipeline can be told, when it is made or at a call.

    ``further`` are names that are known besides the fields, to those who define ``changed``.
    """

    further: ClassVar[tuple[str, ...]] = ()

    batch_size: int | None = option(None, "rows of one pass at most; by default a budget of tokens decides", int)
    progress: bool = option(True, "show a bar on stderr where that is a terminal and the work takes long", bool)
    num_workers: int = option(0, "without effect: tokenizing uses all cores as it is")

    def __post_init__(self) -> None:
        for one in fields(self):
            value, meta = getattr(self, one.name), one.metadata
            if value is None and (one.default is None or meta["none"]):
                continue
            if meta["choices"] and value not in meta["choices"]:
                hint = did_you_mean(str(value), meta["choices"])
                raise InputError(f"{one.name}={value!r} must be one of {', '.join(meta['choices'])}.{hint}")
            if meta["kind"] is int and value != one.default and not _is_count(value, meta["least"]):
                raise InputError(f"{one.name} must be an integer of at least {meta['least']}, not {value!r}.")

    def changed(self, values: Mapping[str, Any]) -> Self:
        """These options with some of them replaced.

        Raises:
            InputError: there is no such option, or its value makes no sense.
        """
        own = [one.name for one in fields(self)]
        for name in values:
            if name not in own:
                hint = did_you_mean(name, (*own, *self.further))
                raise InputError(f"This pipeline has no option {name!r}.{hint} It has {', '.join(own)}.")
        return replace(self, **values) if values else self


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
