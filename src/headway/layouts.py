"""How checkpoints lay tensors out: reversible records between one stored tensor and the canonical ones that it holds.

``load`` splits a stored tensor, ``save`` joins the parts again; the two are inverses of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


class Layout(Protocol):
    """A reversible rearrangement between one stored tensor and the canonical tensors that it holds."""

    def load(self, stored: Any) -> list[Any]:
        """Split a stored tensor into the canonical ones, as views where possible."""

    def save(self, parts: list[Any]) -> Any:
        """Join the canonical tensors into the stored one; the inverse of ``load``."""


@dataclass(frozen=True)
class Same:
    """The tensor as it is."""

    def load(self, stored: Any) -> list[Any]:
        return [stored]

    def save(self, parts: list[Any]) -> Any:
        return parts[0]


SAME = Same()


@dataclass(frozen=True)
class Transposed:
    """Weights stored as ``[in, out]`` (GPT-2's Conv1D); vectors are as they are."""

    def load(self, stored: Any) -> list[Any]:
        return [stored.t()]

    def save(self, parts: list[Any]) -> Any:
        return parts[0].t()


@dataclass(frozen=True)
class FusedColumns:
    """``parts`` equal blocks side by side in a transposed weight ``[in, parts * out]``, or one by one in a bias."""

    parts: int

    def load(self, stored: Any) -> list[Any]:
        return [part.t() for part in stored.chunk(self.parts, dim=-1)]

    def save(self, parts: list[Any]) -> Any:
        import torch

        return torch.cat([part.t() for part in parts], dim=-1)


@dataclass(frozen=True)
class FusedRows:
    """Blocks of ``sizes`` rows below each other in a weight ``[out, in]``, or one by one in a bias."""

    sizes: tuple[int, ...]

    def load(self, stored: Any) -> list[Any]:
        return list(stored.split(self.sizes))

    def save(self, parts: list[Any]) -> Any:
        import torch

        return torch.cat(parts)


@dataclass(frozen=True)
class FusedGroups:
    """Queries, keys and values by groups of heads: the rows of ``queries`` query heads, of their key, of their value.

    One query head a group is the layout of multi-head attention (GPT-NeoX), all of them in one group that of
    multi-query attention.
    """

    head_width: int
    queries: int = 1

    def load(self, stored: Any) -> list[Any]:
        groups = stored.unflatten(0, (-1, self.queries + 2, self.head_width))
        return [groups[:, : self.queries].flatten(0, 2), groups[:, -2].flatten(0, 1), groups[:, -1].flatten(0, 1)]

    def save(self, parts: list[Any]) -> Any:
        import torch

        heads = (self.queries, 1, 1)
        groups = [part.unflatten(0, (-1, count, self.head_width)) for part, count in zip(parts, heads, strict=True)]
        return torch.cat(groups, dim=1).flatten(0, 2)


@dataclass(frozen=True)
class Interleaved:
    """Rows that rotary positions turn in neighbouring pairs (0 with 1, 2 with 3), brought into halves (0 with half).

    Of every ``head_width`` rows, ``width`` from ``start`` on are turned. Queries and keys that are both brought into
    halves have the same products, so that one rotation serves both kinds of checkpoints.
    """

    head_width: int
    width: int
    start: int = 0

    def load(self, stored: Any) -> list[Any]:
        return [self._swapped(stored, (self.width // 2, 2))]

    def save(self, parts: list[Any]) -> Any:
        return self._swapped(parts[0], (2, self.width // 2))

    def _swapped(self, rows: Any, grid: tuple[int, int]) -> Any:
        """``rows`` with those that are turned, seen as a ``grid`` of them, in the order of its columns."""
        import torch

        heads = rows.unflatten(0, (-1, self.head_width))
        before, turned, after = heads.split((self.start, self.width, self.head_width - self.start - self.width), dim=1)
        turned = turned.unflatten(1, grid).transpose(1, 2).flatten(1, 2)
        return torch.cat((before, turned, after), dim=1).flatten(0, 1)


@dataclass(frozen=True)
class Reshaped:
    """A tensor stored with axes of length one in front, such as a class token ``[1, 1, width]``."""

    leading: int

    def load(self, stored: Any) -> list[Any]:
        return [stored.reshape(stored.shape[self.leading :])]

    def save(self, parts: list[Any]) -> Any:
        return parts[0].reshape((1,) * self.leading + tuple(parts[0].shape))


@dataclass(frozen=True)
class Stacked:
    """Weights ``[experts, parts * out, in]`` or biases ``[experts, parts * out]``, the parts side by side."""

    parts: int = 1

    def load(self, stored: Any) -> list[Any]:
        return [one for part in stored.chunk(self.parts, dim=1) for one in part.unbind()]

    def save(self, parts: list[Any]) -> Any:
        import torch

        experts = len(parts) // self.parts
        return torch.cat([torch.stack(parts[at : at + experts]) for at in range(0, len(parts), experts)], dim=1)


@dataclass(frozen=True)
class StackedColumns:
    """Weights ``[experts, in, out * parts]`` or biases ``[experts, out * parts]``, the parts taking turns in the last.

    Parts in which neither rows nor columns are whole in memory are copied apart: no product could use them.
    """

    parts: int = 1

    def load(self, stored: Any) -> list[Any]:
        apart = (stored[..., at :: self.parts] for at in range(self.parts))
        usable = (part if 1 in part.stride()[1:] else part.contiguous() for part in apart)
        return [one.t() for part in usable for one in part.unbind()]

    def save(self, parts: list[Any]) -> Any:
        import torch

        experts = len(parts) // self.parts
        stacks = [torch.stack([one.t() for one in parts[at : at + experts]]) for at in range(0, len(parts), experts)]
        return torch.stack(stacks, dim=-1).flatten(-2)
