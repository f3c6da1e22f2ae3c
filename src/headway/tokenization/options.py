"""The arguments of a call, checked once: how to truncate, how to pad, and which are not arguments at all."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple, SupportsIndex

from headway.errors import InputError, did_you_mean

Side = Literal["left", "right"]

# A model_max_length above this says "unknown": checkpoints write 1e30.
UNKNOWN_LENGTH = int(1e20)

_TRUNCATIONS: dict[object, str | None] = {
    **dict.fromkeys((None, False, "do_not_truncate")),
    **dict.fromkeys((True, "longest_first"), "longest_first"),
    "only_first": "only_first",
    "only_second": "only_second",
}
_PADDINGS: dict[object, str | None] = {
    **dict.fromkeys((None, False, "do_not_pad")),
    **dict.fromkeys((True, "longest"), "longest"),
    "max_length": "max_length",
}


class Truncation(NamedTuple):
    """Cut to ``max_length`` tokens, special ones included; pieces overlap by ``stride`` tokens."""

    strategy: str
    max_length: int
    stride: int
    side: Side


class Padding(NamedTuple):
    """Pad to the longest row, or to ``length`` if it is given, rounded up to a multiple; ``length`` never cuts."""

    length: int | None
    multiple: int | None
    side: Side

    def width(self, lengths: Iterable[int]) -> int:
        """Return the number of columns for rows of these lengths."""
        width = max(lengths, default=0) if self.length is None else self.length
        return width if not self.multiple else -(-width // self.multiple) * self.multiple


def truncation_strategy(truncation: object) -> str | None:
    """Return the strategy that the argument ``truncation`` names, None for none; InputError if it names nothing."""
    return _choose("truncation", truncation, _TRUNCATIONS)


def padding_strategy(padding: object) -> str | None:
    """Return the strategy that the argument ``padding`` names, None for none; InputError if it names nothing."""
    return _choose("padding", padding, _PADDINGS)


def padded_length(strategy: str, max_length: int | None, model_max_length: int) -> int | None:
    """Return the length that a strategy pads to, None for the longest row's; InputError if it is not known."""
    if strategy != "max_length":
        return None
    length = model_max_length if max_length is None else count("max_length", max_length)
    if length > UNKNOWN_LENGTH:
        raise InputError("padding='max_length' needs max_length, since the model's length is not known.")
    return length


def side_of(name: str, side: object) -> Side:
    """Return ``side`` if it is "left" or "right"; InputError naming the argument ``name`` if not."""
    if side == "left" or side == "right":
        return side
    raise InputError(f"{name} must be 'left' or 'right', not {side!r}.")


def count(name: str, value: object, least: int = 0) -> int:
    """Return ``value`` if it is an integer of at least ``least``; InputError naming the argument ``name`` if not."""
    if isinstance(value, SupportsIndex) and not isinstance(value, bool) and value.__index__() >= least:
        return value.__index__()
    raise InputError(f"{name} must be an integer of at least {least}, not {value!r}.")


def reject_unknown(function: Callable[..., object], unknown: Mapping[str, object], also: Iterable[str] = ()) -> None:
    """Raise InputError if there are ``unknown`` keyword arguments, with the nearest that ``function`` takes.

    ``also`` are names that it takes beside those of its signature.
    """
    for name in unknown:
        known = [known for known in (*inspect.signature(function).parameters, *also) if known != "unknown"]
        raise InputError(f"{function.__name__}() takes no argument {name!r}.{did_you_mean(name, known)}")


def _choose(name: str, value: object, choices: Mapping[object, str | None]) -> str | None:
    try:
        return choices[value]
    except (KeyError, TypeError):
        words = [choice for choice in choices if isinstance(choice, str)]
        hint = did_you_mean(str(value), words)
        raise InputError(f"{name}={value!r} must be True, False or one of {', '.join(words)}.{hint}") from None
