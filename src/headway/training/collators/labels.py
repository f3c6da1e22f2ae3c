"""Batches whose labels are lists: one label a token, or a text to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from headway.heads.losses import IGNORED
from headway.tokenization.options import Padding
from headway.tokenization.tokenizer import Tokenizer
from headway.training.collators.columns import columns_of, padded
from headway.training.collators.padding import PaddingCollator


@dataclass
class DataCollatorForTokenClassification(PaddingCollator):
    """Pads inputs and ``labels [rows, width]``, which stand beside the tokens.

    Args:
        label_pad_token_id: what fills labels; the loss does not count -100.

    The other arguments are as in ``DataCollatorWithPadding``.
    """

    tokenizer: Tokenizer
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    label_pad_token_id: int = IGNORED
    return_tensors: str = "pt"

    def collate(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        return self.inputs(columns_of(features), {"labels": self.label_pad_token_id})


@dataclass
class DataCollatorForSeq2Seq(PaddingCollator):
    """Pads inputs, and ``labels [rows, steps]`` to a length of their own, always on the right.

    A decoder starts at its first token, so labels that were filled on the left would be learnt behind padding.

    Args:
        model: where it has ``prepare_decoder_input_ids_from_labels``, the batch gets ``decoder_input_ids``, which
            headway's models would make of the labels themselves.
        label_pad_token_id: what fills labels; the loss does not count -100.

    The other arguments are as in ``DataCollatorWithPadding``.
    """

    tokenizer: Tokenizer
    model: Any = None
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    label_pad_token_id: int = IGNORED
    return_tensors: str = "pt"

    def collate(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        columns = columns_of(features)
        labels = columns.pop("labels", None)
        batch = self.inputs(columns)
        if labels is None:
            return batch
        length, multiple, _ = self.layout()
        batch["labels"] = padded("labels", labels, Padding(length, multiple, "right"), self.label_pad_token_id)
        shift = getattr(self.model, "prepare_decoder_input_ids_from_labels", None)
        return batch if shift is None else {**batch, "decoder_input_ids": shift(labels=batch["labels"])}
