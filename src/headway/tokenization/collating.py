"""Padding of what is tokenized already."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from headway.errors import InputError, TokenizerError
from headway.tokenization.encoding import BatchEncoding
from headway.tokenization.framing import Framing
from headway.tokenization.options import (
    Padding,
    Side,
    Truncation,
    count,
    padded_length,
    padding_strategy,
    side_of,
)
from headway.tokenization.tensors import pad_rows, tensor_kind, to_list


class Collating(Framing):
    """The part of a tokenizer that brings rows to one length."""

    model_max_length: int
    model_input_names: list[str]
    padding_side: Side
    pad_token_type_id: int

    def pad(
        self,
        encoded_inputs: Any,
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Pad inputs that are tokenized already, as data collators do.

        Args:
            encoded_inputs: a list of dictionaries (one a row), or a dictionary of lists. "input_ids", "attention_mask",
                "token_type_ids" and "special_tokens_mask" are padded; others, such as "labels", are kept as they are.
            return_tensors: "pt", "np", or None for the kind that the inputs are: lists stay lists.

        Raises InputError if there are no input ids or the rows make no tensor, TokenizerError without a ``pad_token``.
        """
        if not isinstance(encoded_inputs, Mapping):
            encoded_inputs = list(encoded_inputs)
        data = _collated(encoded_inputs)
        main = self.model_input_names[0]
        kind = tensor_kind(return_tensors) or _kind_of_rows(encoded_inputs, main)
        if main not in data:
            raise InputError(f"Inputs to pad must have {main!r}: there are {', '.join(map(repr, data)) or 'none'}.")
        single = bool(data[main]) and not isinstance(data[main][0], list)
        if single:
            data = {name: [value] for name, value in data.items()}
        lengths = [len(row) for row in data[main]]
        if self._wants("attention_mask", return_attention_mask):
            data.setdefault("attention_mask", [[1] * length for length in lengths])
        if pad := self._padding(padding, max_length, pad_to_multiple_of, padding_side, None):
            width = pad.width(lengths)
            fills = {
                main: self.pad_token_id,
                "attention_mask": 0,
                "token_type_ids": self.pad_token_type_id,
                "special_tokens_mask": 1,
            }
            for name in fills.keys() & data.keys():
                data[name] = pad_rows(data[name], width, fills[name], pad.side)
        if single and kind is None:
            data = {name: value[0] for name, value in data.items()}
        return BatchEncoding(data, tensor_type=kind)

    def _wants(self, name: str, asked: bool | None) -> bool:
        return name in self.model_input_names if asked is None else asked

    def _padding(
        self, padding: object, max_length: int | None, multiple: int | None, side: str | None, cut: Truncation | None
    ) -> Padding | None:
        strategy = padding_strategy(padding)
        if strategy is None:
            return None
        if self.pad_token_id is None:
            raise TokenizerError(
                "This tokenizer has no pad_token: set tokenizer.pad_token = tokenizer.eos_token (padding is masked out "
                "anyway), or add a new one with add_special_tokens({'pad_token': '<pad>'})."
            )
        if multiple is not None:
            multiple = count("pad_to_multiple_of", multiple, least=1)
            if cut is not None and max_length is not None and max_length % multiple:
                raise InputError(
                    f"max_length={max_length} is no multiple of pad_to_multiple_of={multiple}, so a row that is cut "
                    "could not be padded within it."
                )
        length = padded_length(strategy, max_length, self.model_max_length)
        return Padding(length, multiple, side_of("padding_side", side or self.padding_side))


def _kind_of_rows(inputs: Any, name: str) -> str | None:
    """Return "pt" or "np" if the rows are tensors or arrays already."""
    values = inputs.get(name) if isinstance(inputs, Mapping) else [row.get(name) for row in inputs]
    first = values[0] if isinstance(values, list | tuple) and values else values
    return None if not hasattr(first, "tolist") else "np" if isinstance(first, np.ndarray | np.generic) else "pt"


def _collated(inputs: Any) -> dict[str, Any]:
    """Return a list of dictionaries, or a dictionary of lists, as a new dictionary of lists without tensors."""
    if isinstance(inputs, Mapping):
        return {name: to_list(value) for name, value in inputs.items()}
    if not inputs or not all(isinstance(row, Mapping) and row.keys() == inputs[0].keys() for row in inputs):
        raise InputError("Inputs to pad must be a dictionary, or a list of dictionaries with the same keys.")
    return {name: [to_list(row[name]) for row in inputs] for name in inputs[0]}
