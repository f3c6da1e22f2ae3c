"""Batches of many texts without padding's cost, for whoever has no tokenizer at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from headway.errors import InputError
from headway.heads.losses import IGNORED
from headway.tokenization.options import Padding
from headway.training.collators.base import Collator
from headway.training.collators.columns import columns_of, padded


@dataclass
class DataCollatorWithFlattening(Collator):
    """Examples of ``input_ids`` and, optionally, ``labels``, as a batch that costs its real tokens alone.

    Elsewhere such examples are joined to one row ``[1, tokens]`` whose positions start anew. Here a model packs any
    batch that way by its attention mask, so the batch keeps a row for each example: the loss is that of the joined row,
    since a row's first token is no label of a causal language model in either form. Where there are no ``labels``, the
    ``input_ids`` are the labels.
    """

    return_tensors: str = "pt"

    def collate(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        columns = columns_of(features)
        if "input_ids" not in columns:
            raise InputError(f"Examples to flatten must have 'input_ids'; there are {', '.join(map(repr, columns))}.")
        rows, layout = columns["input_ids"], Padding(None, None, "right")
        return {
            "input_ids": padded("input_ids", rows, layout, 0),
            "attention_mask": padded("attention_mask", [torch.ones(len(row)) for row in rows], layout, 0),
            "labels": padded("labels", columns.get("labels", rows), layout, IGNORED),
        }
