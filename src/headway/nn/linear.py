"""The linear layer and the lookup table that all modules use: torch's, without initialising twice.

Weights are filled from a file or by ``models.initialise``, so the constructors leave them alone.
"""

from __future__ import annotations

from torch import nn


class Linear(nn.Linear):
    """``x @ weight.T + bias`` over the last axis."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are."""


class Embedding(nn.Embedding):
    """A table of vectors by id."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are."""
