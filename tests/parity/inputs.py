"""Inputs and labels of a cell: rows of their own lengths, and batches of them with padding on either side."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from headway.models.assemble import model_class
from headway.models.plan import BASE
from parity.oracle import Cell

DECODER, MEMORY = 7, 6
# Padding is filled with the end-of-sequence token: what is padding is known from the mask alone.
FILL = 2
Inputs = dict[str, Any]

# Which mask goes with an input, by its name.
MASKS = {
    "input_ids": "attention_mask",
    "inputs_embeds": "attention_mask",
    "token_type_ids": "attention_mask",
    "labels": "attention_mask",
    "decoder_input_ids": "decoder_attention_mask",
    "encoder_hidden_states": "encoder_attention_mask",
}


def make_rows(cell: Cell, ragged: bool = False, rows: int = 3) -> list[Inputs]:
    """The inputs of each row, without a batch axis; the last token of each is the end-of-sequence token."""
    values, setting = cell.values, cell.setting
    generator = torch.Generator().manual_seed(2)

    def numbers(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, generator=generator)

    pixels: list[Inputs] = [{} for _ in range(rows)]
    if not cell.reads:
        size = values.get("vision_config", values)["image_size"]
        height, width = setting.image or (size if isinstance(size, list) else (size, size))
        pixels = [{"pixel_values": torch.randn(3, height, width, generator=generator)} for _ in range(rows)]
        if cell.sees:
            return pixels
        values = values["text_config"]
    found = []
    for row in range(rows):
        cut = 4 * (row % 3) if ragged else 0
        shape = (2, setting.width - cut) if cell.task == "multiple-choice" else (setting.width - cut,)
        inputs = {"input_ids": numbers(5, values["vocab_size"], *shape)}
        inputs["input_ids"][..., -1] = values["eos_token_id"]
        if values.get("type_vocab_size"):
            inputs["token_type_ids"] = numbers(0, values["type_vocab_size"], *shape)
        if setting.types_below:
            inputs["token_type_ids"] = numbers(0, setting.types_below, *shape)
        if cell.has_encoder_and_decoder and cell.task in (BASE, "seq2seq-lm"):
            inputs["decoder_input_ids"] = numbers(
                5, values["vocab_size"], DECODER - (3 - row % 3 if ragged and row % 3 else 0)
            )
        if values.get("add_cross_attention"):
            cut = row % 3 if ragged else 0
            inputs["encoder_hidden_states"] = torch.randn(MEMORY - cut, 32, generator=generator)
        found.append(inputs | pixels[row])
    return found


def make_labels(cell: Cell, rows: list[Inputs]) -> list[Inputs]:
    """The labels of each row; two tokens of each count, so that a batch's loss is the mean of its rows' losses."""
    generator = torch.Generator().manual_seed(3)

    def number(below: int) -> Tensor:
        return torch.randint(0, below, (), generator=generator)

    def one(inputs: Inputs) -> Inputs:
        given = inputs.get("decoder_input_ids", inputs.get("input_ids"))
        match cell.task:
            case "base" | "projection" | "image-classification-with-teacher" | "zero-shot-image-classification":
                return {}
            case "sequence-classification" | "image-classification":
                return {"labels": number(3)}
            case "multiple-choice" | "next-sentence-prediction":
                return {"labels": number(2)}
            case "question-answering":
                width = given.shape[-1]
                return {"start_positions": number(width), "end_positions": number(width)}
        targets = model_class(cell.model_type, cell.task)(config_of(cell)).plan.targets
        if cell.task == "pretraining" and targets == ("labels",):
            # Was each token replaced? All tokens count.
            return {"labels": torch.randint(0, 2, given.shape, generator=generator)}
        labels = torch.full_like(given, -100)
        labels[1:3] = torch.stack([number(3 if cell.task == "token-classification" else 99) for _ in range(2)])
        return {"labels": labels, **{name: number(2) for name in targets if name != "labels"}}

    return [one(inputs) for inputs in rows]


def config_of(cell: Cell) -> Any:
    """headway's config of a cell."""
    kind = model_class(cell.model_type, cell.task).config_class
    assert kind is not None
    return kind(**cell.values)


def collate(rows: list[Inputs], side: str | None = None, fill: int = FILL) -> Inputs:
    """A batch of ``rows``; with a ``side``, padded there with the token ``fill``, with masks that say so.

    Positions in labels move along with the padding.
    """
    found: Inputs = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        width = max(value.shape[axis_of(name)] if value.dim() else 0 for value in values)
        if name in ("start_positions", "end_positions"):
            tokens = [row["input_ids"].shape[-1] for row in rows]
            shift = [max(tokens) - count if side == "left" else 0 for count in tokens]
            values = [value + count for value, count in zip(values, shift, strict=True)]
        padded = [pad(value, width, side or "right", name, fill) if value.dim() else value for value in values]
        found[name] = torch.stack(padded)
        if side is not None and name in MASKS and (name != "labels" and values[0].dim()):
            real = [torch.ones(without_channels(value, name), dtype=torch.long) for value in values]
            found[MASKS[name]] = torch.stack([pad(value, width, side, "mask") for value in real])
    return found


def axis_of(name: str) -> int:
    """The axis along which tokens stand."""
    return -2 if name in ("encoder_hidden_states", "inputs_embeds") else -1


def without_channels(value: Tensor, name: str) -> torch.Size:
    """The shape of a row's tokens."""
    return value.shape[:-1] if axis_of(name) == -2 else value.shape


def pad(value: Tensor, width: int, side: str, name: str, fill: int = FILL) -> Tensor:
    """``value`` with ``width`` tokens."""
    axis = axis_of(name)
    missing = width - value.shape[axis]
    if name == "pixel_values" or missing == 0:
        return value
    shape = list(value.shape)
    shape[axis] = missing
    filler = {"labels": -100, "token_type_ids": 0, "mask": 0}.get(name, fill)
    filling = torch.full(shape, filler, dtype=value.dtype)
    return torch.cat([filling, value] if side == "left" else [value, filling], axis)


def merge(rows: list[Inputs], labels: list[Inputs]) -> list[Inputs]:
    """Each row's inputs and labels together."""
    return [row | label for row, label in zip(rows, labels, strict=True)]
