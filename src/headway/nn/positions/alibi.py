"""ALiBi: scores fall with the distance to the key, by a slope for each head. Nothing is learned."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headway import spec
from headway.nn.builders import builds
from headway.nn.run import Run


class Slopes(nn.Module):
    """Slopes of heads, ``[heads, 1, 1]``, sent to a device once."""

    def __init__(self, slopes: tuple[float, ...], dtype: torch.dtype) -> None:
        super().__init__()
        self._slopes, self._dtype = slopes, dtype
        self._tables: dict[torch.device, Tensor] = {}

    def on(self, device: torch.device) -> Tensor:
        """The slopes on ``device``."""
        if device not in self._tables:
            self._tables[device] = torch.tensor(self._slopes, dtype=self._dtype, device=device)[:, None, None]
        return self._tables[device]


@dataclass
class PreparedAlibi:
    """The bias of a pass by the distance between query and key."""

    slopes: Tensor
    dtype: torch.dtype

    def rows(self, queries: int, keys: int) -> Tensor:
        """For the last ``queries`` of ``keys`` tokens: ``[1, heads, queries, keys]``."""
        at = torch.arange(keys, device=self.slopes.device)
        distance = (at[keys - queries :, None] - at).abs()
        return (self.slopes * -distance).to(self.dtype)[None]

    def ragged(self, starts: Tensor, queries: int, keys: int) -> Tensor:
        """The same where each row has its first token in a column of its own, ``starts [rows]``."""
        return self.rows(queries, keys)  # a distance is the same wherever a row starts


@builds(spec.Alibi)
class Alibi(Slopes):
    """A slope for each head times the distance to the key."""

    def __init__(self, alibi: spec.Alibi) -> None:
        super().__init__(alibi.slopes, torch.float32)

    def prepare(self, run: Run, like: Tensor) -> PreparedAlibi:
        """The bias of a pass in the dtype of ``like``."""
        return PreparedAlibi(self.on(like.device), like.dtype)


@dataclass
class PreparedRoundedAlibi:
    """The bias of a pass by the key's position, the same for all queries."""

    slopes: Tensor
    scale: float
    dtype: torch.dtype

    def rows(self, queries: int, keys: int) -> Tensor:
        """``[1, heads, 1, keys]``."""
        return self._at(torch.arange(keys, device=self.slopes.device))[None]

    def ragged(self, starts: Tensor, queries: int, keys: int) -> Tensor:
        """``[rows, heads, 1, keys]`` where each row has its first token in a column of its own, ``starts [rows]``."""
        return self._at((torch.arange(keys, device=self.slopes.device) - starts[:, None])[:, None, None])

    def _at(self, positions: Tensor) -> Tensor:
        return (self.slopes * positions).to(self.dtype) * self.scale


@builds(spec.RoundedAlibi)
class RoundedAlibi(Slopes):
    """A slope for each head times the key's position, in bfloat16, and scaled as the scores are."""

    def __init__(self, alibi: spec.RoundedAlibi) -> None:
        super().__init__(alibi.slopes, torch.bfloat16)
        self.scale = alibi.scale

    def prepare(self, run: Run, like: Tensor) -> PreparedRoundedAlibi:
        """The bias of a pass in the dtype of ``like``."""
        return PreparedRoundedAlibi(self.on(like.device), self.scale, like.dtype)
