"""How a part of a spec is made: a frozen dataclass that costs little to import."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from typing import Any, TypeVar, dataclass_transform

_Part = TypeVar("_Part")


@dataclass_transform(frozen_default=True)
def part(cls: type[_Part]) -> type[_Part]:
    """A frozen dataclass. Its methods are those of all parts: making them anew for each takes most of an import."""
    made: Any = dataclass(eq=False, repr=False)(cls)
    made.__setattr__, made.__delattr__ = _set, _delete
    made.__eq__, made.__hash__, made.__repr__ = _equals, _hashed, _shown
    return cls


def _set(self: Any, name: str, value: Any) -> None:
    if name in self.__dict__ or name not in self.__dataclass_fields__:
        raise FrozenInstanceError(f"{type(self).__name__}.{name} is as it was made; use dataclasses.replace.")
    self.__dict__[name] = value


def _delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"{type(self).__name__}.{name} is as it was made; use dataclasses.replace.")


def _equals(self: Any, other: object) -> bool:
    return type(self) is type(other) and self.__dict__ == other.__dict__


def _hashed(self: Any) -> int:
    return hash((type(self), *self.__dict__.values()))


def _shown(self: Any) -> str:
    fields = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
    return f"{type(self).__name__}({fields})"
