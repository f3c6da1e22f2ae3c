"""Batches of examples that are equally long already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from headway.tokenization.encoding import BatchEncoding
from headway.training.collators.base import Collator
from headway.training.collators.columns import columns_of, stacked


@dataclass
class DefaultDataCollator(Collator):
    """Stacks every column; texts and None are left out. ``label`` and ``label_ids`` become ``labels``."""

    return_tensors: str = "pt"

    def collate(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        return {
            name: stacked(name, values)
            for name, values in columns_of(features).items()
            if values[0] is not None and not isinstance(values[0], str)
        }


def default_data_collator(features: Sequence[Mapping[str, Any]], return_tensors: str = "pt") -> BatchEncoding:
    """``DefaultDataCollator`` as a function."""
    return DefaultDataCollator(return_tensors)(features)
