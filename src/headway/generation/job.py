"""What every way of searching is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from headway.generation.config import GenerationConfig
from headway.generation.decoder import Decoder
from headway.generation.processors import LogitsProcessorList
from headway.generation.stopping import StoppingCriteriaList


@dataclass
class Job:
    """Prompts that were read, and how to go on from them.

    Attributes:
        decoder: has read the prompts.
        ids: the prompts, ``[rows, width]``, negative in front of the shorter ones.
        scores: of the next token, ``[rows, vocabulary]``.
        limits: columns at which rows end, ``[rows]``; ``end`` is the largest.
        eos, pad: ids that end a row, and the id that stands behind its end.
        row_processors: those of one row by its number, for ways in which rows do not go together.
        keeps_rows: rows stay in the cache when they are finished, since it is the caller's.
    """

    decoder: Decoder
    ids: Tensor
    scores: Tensor
    config: GenerationConfig
    processors: LogitsProcessorList
    stopping: StoppingCriteriaList
    limits: Tensor
    eos: Tensor | None
    pad: int
    row_processors: Callable[[int], LogitsProcessorList]
    streamer: Any = None
    generator: torch.Generator | None = None
    keeps_rows: bool = False

    @property
    def width(self) -> int:
        """Columns of the prompts."""
        return self.ids.shape[1]

    @property
    def end(self) -> int:
        """The column at which the longest row ends."""
        return int(self.limits.max())

    def ended(self, tokens: Tensor) -> Tensor:
        """Which of ``tokens`` end their row."""
        if self.eos is None:
            return torch.zeros_like(tokens, dtype=torch.bool)
        return tokens == self.eos if self.eos.numel() == 1 else torch.isin(tokens, self.eos)

    def draw(self, scores: Tensor, count: int = 1) -> Tensor:
        """``count`` different tokens of each row, drawn by the probabilities of ``scores``: ``[rows, count]``."""
        return torch.multinomial(scores.softmax(-1), count, generator=self.generator)


@dataclass
class Written:
    """What was written: ``ids [rows, n]`` with the prompts, and what was asked for besides."""

    ids: Tensor
    scores: list[Tensor] = field(default_factory=list)
    logits: list[Tensor] = field(default_factory=list)
    sequences_scores: Tensor | None = None
    beam_indices: Tensor | None = None
