"""What all data collators have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from headway.tokenization.encoding import BatchEncoding
from headway.tokenization.tensors import tensor_kind


class Collator(ABC):
    """Makes one batch of a list of examples; ``return_tensors`` is "pt" or "np"."""

    return_tensors: str

    def __call__(self, features: Sequence[Any], return_tensors: str | None = None) -> BatchEncoding:
        """Return the batch of these examples, tensors by name.

        Raises:
            InputError: the examples do not make a batch; the message names the column.
        """
        batch: dict[str, Any] = self.collate(features)
        if tensor_kind(return_tensors or self.return_tensors) == "np":
            batch = {name: value.numpy() for name, value in batch.items()}
        return BatchEncoding(batch)

    @abstractmethod
    def collate(self, features: Sequence[Any]) -> dict[str, Tensor]:
        """The batch as torch tensors."""
