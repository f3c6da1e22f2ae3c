"""Do values fit the annotations of a config's fields? Checkpoints are sloppy; what cannot be meant is refused."""

from __future__ import annotations

import inspect
import types
from functools import lru_cache
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin

from headway.errors import ConfigError

_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    tuple: "a list",
    dict: "a dictionary",
}


def fitting(owner: type, name: str, value: Any) -> Any:
    """``value`` as the field ``name`` of a config of class ``owner`` takes it.

    Whole numbers written as ``1.0``, switches as ``0`` or ``1`` and numbers of numpy become those of Python; null fits
    everywhere, since a family may do without. Values that no JSON file holds, and fields without an annotation that
    tells, are not looked at.

    Raises:
        ConfigError: the value is of another type.
    """
    kinds = _kinds(owner).get(name)
    if kinds is None or value is None or type(value) in kinds:
        return value
    fits = False
    if isinstance(value, bool):
        pass
    elif isinstance(value, Integral) and int in kinds:
        return int(value)
    elif isinstance(value, Real):
        number = float(value)
        if float in kinds:
            return value if isinstance(value, int) else number
        if int in kinds and number.is_integer():
            return int(number)
        if bool in kinds and number in (0, 1):
            return bool(number)
    elif isinstance(value, list | tuple):
        fits = list in kinds or tuple in kinds
    else:
        fits = not isinstance(value, str | dict) or isinstance(value, kinds)
    if fits:
        return value
    expected = " or ".join(dict.fromkeys(_WORDS[kind] for kind in kinds))
    given = next(word for kind, word in _WORDS.items() if isinstance(value, kind))
    raise ConfigError(
        f"{owner.__name__}.{name} is {value!r}, which is {given}, but it must be {expected}; mend config.json, or the "
        "value that is passed."
    )


@lru_cache(maxsize=256)
def _kinds(owner: type) -> dict[str, tuple[type, ...]]:
    """The types that the annotations of ``owner`` and its bases allow, for fields whose annotations tell."""
    found: dict[str, tuple[type, ...]] = {}
    for base in reversed(owner.__mro__):
        try:
            annotations = inspect.get_annotations(base, eval_str=True)
        except (NameError, SyntaxError, TypeError):  # names that exist for type checkers alone
            annotations = dict.fromkeys(inspect.get_annotations(base), Any)
        for name, annotation in annotations.items():
            found.pop(name, None)
            if kinds := _types(annotation):
                found[name] = kinds
    return found


def _types(annotation: Any) -> tuple[type, ...]:
    """The types of JSON values that ``annotation`` stands for; empty where it does not tell."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        parts = [_types(part) for part in get_args(annotation) if part is not types.NoneType]
        return tuple({kind: None for part in parts for kind in part}) if all(parts) else ()
    if origin is Literal:
        return tuple({type(value): None for value in get_args(annotation)})
    kind = origin or annotation
    return (kind,) if isinstance(kind, type) and kind in _WORDS else ()
