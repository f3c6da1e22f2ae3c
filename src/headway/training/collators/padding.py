"""Batches of examples of any length: the inputs of a model, padded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from headway.errors import InputError
from headway.tokenization.options import Padding, padded_length, padding_strategy
from headway.tokenization.tokenizer import Tokenizer
from headway.training.collators.base import Collator
from headway.training.collators.columns import columns_of, lengths_of, padded, stacked


class PaddingCollator(Collator):
    """The part of a collator that pads a model's inputs.

    Padding is told by the attention mask alone, so a tokenizer needs no ``pad_token``: without one the id 0 fills.
    """

    tokenizer: Tokenizer
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None

    def layout(self) -> Padding:
        """How long rows become, and on which side they are filled."""
        strategy, tokenizer = padding_strategy(self.padding), self.tokenizer
        length = None
        if strategy is not None:
            length = padded_length(strategy, self.max_length, tokenizer.model_max_length)
        return Padding(length, self.pad_to_multiple_of if strategy else None, tokenizer.padding_side)

    def inputs(self, columns: Mapping[str, Sequence[Any]], also: Mapping[str, int] | None = None) -> dict[str, Tensor]:
        """The columns as tensors, those of tokens padded to one width.

        Args:
            columns: the values of all examples by name.
            also: further columns of tokens, and what fills them.

        Raises:
            InputError: there are no tokens, or a column makes no tensor.
        """
        tokenizer, layout = self.tokenizer, self.layout()
        main = tokenizer.model_input_names[0]
        if main not in columns:
            raise InputError(f"Examples to pad must have {main!r}; there are {', '.join(map(repr, columns))}.")
        lengths = lengths_of(main, columns[main])
        width = layout.width(lengths)
        if padding_strategy(self.padding) is None and min(lengths) < width:
            raise InputError(f"The examples have {min(lengths)} to {width} tokens; pass padding=True.")
        if "attention_mask" not in columns and (
            "attention_mask" in tokenizer.model_input_names or min(lengths) < width
        ):
            columns = {**columns, "attention_mask": [[1] * length for length in lengths]}
        pad = tokenizer.pad_token_id
        fills = {
            main: 0 if pad is None else pad,
            "attention_mask": 0,
            "token_type_ids": tokenizer.pad_token_type_id,
            "special_tokens_mask": 1,
            **(also or {}),
        }
        layout = layout._replace(length=width)
        return {
            name: padded(name, values, layout, fills[name]) if name in fills else stacked(name, values)
            for name, values in columns.items()
        }


@dataclass
class DataCollatorWithPadding(PaddingCollator):
    """Pads the inputs of a model to the longest of a batch.

    Args:
        tokenizer: says the inputs' names, the side of padding and what fills it.
        padding: True or "longest"; "max_length"; False where all are equally long.
        max_length: the length of "max_length"; the model's where it is not given.
        pad_to_multiple_of: round the length up to a multiple.
        return_tensors: "pt" or "np".
    """

    tokenizer: Tokenizer
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"

    def collate(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        return self.inputs(columns_of(features))


@dataclass
class DataCollatorForMultipleChoice(PaddingCollator):
    """Batches ``[rows, choices, width]`` of examples whose columns hold one list of tokens for each choice.

    ``labels [rows]`` are the right choices. Arguments are as in ``DataCollatorWithPadding``.
    """

    tokenizer: Tokenizer
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"

    def collate(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        columns = columns_of(features)
        labels = columns.pop("labels", None)
        counts = {count for name, rows in columns.items() for count in lengths_of(name, rows)}
        if len(counts) != 1:
            raise InputError(f"All examples of a batch have equally many choices, but there are {sorted(counts)}.")
        (choices,) = counts
        flat = {name: [choice for row in rows for choice in row] for name, rows in columns.items()}
        batch = {name: x.unflatten(0, (-1, choices)) for name, x in self.inputs(flat).items()}
        return batch if labels is None else {**batch, "labels": stacked("labels", labels)}
