"""The graph of a model that writes: new tokens and a past go in, logits and the longer past come out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from headway.errors import ExportError
from headway.models.family import FamilyModel
from headway.nn.batch import Batch
from headway.nn.cache import Cache, Cross
from headway.nn.cached import Row
from headway.nn.run import Memory, Wants
from headway.onnx.config import TOKENS, Axes
from headway.onnx.dummies import Dummies
from headway.onnx.parts import Part, Size, Tensors

PAST: Axes = {0: "batch", 2: "past_sequence"}
TOTAL: Axes = {0: "batch", 2: "total_sequence"}


class GivenCache(Cache):
    """A past that comes and goes as whole tensors, padding included; it serves one pass."""

    def __init__(self, held: Sequence[Row], cross: Mapping[int, Cross] | None = None) -> None:
        super().__init__()
        self.held, self.cross = list(held), dict(cross or {})
        self.lengths = self.held[0][0].shape[2]

    def update(self, layer: int, keys: Tensor, values: Tensor, window: int | None = None) -> Row:
        old = self.held[layer]
        self.held[layer] = (torch.cat((old[0], keys), 2), torch.cat((old[1], values), 2))
        return self.held[layer]

    def advance(self, batch: Batch) -> None:
        """Nothing is counted."""


class Decoder(Part):
    """What graphs of language models have in common."""

    def _scores(self, ids: Tensor, mask: Tensor | None, cache: Cache | None, memory: Memory | None = None) -> Tensor:
        return self.model.next_scores(ids, mask, cache, memory, Wants(), every=True)[0]

    def _past(self, ids: Tensor, mask: Tensor | None, past: int, memory: Memory | None = None) -> Any:
        """The cache of the first ``past`` tokens."""
        cache = Cache()
        if past:
            self._scores(ids[:, :past], None if mask is None else mask[:, :past], cache, memory)
        return cache

    def _empty(self, ids: Tensor, memory: Memory | None = None) -> list[Row]:
        """Keys and values of no tokens; raises ``ExportError`` where the model keeps something else."""
        cache = self._past(ids, None, 1, memory)
        if not cache.can_take_back:
            raise ExportError(
                f"{type(self.model).__name__} keeps a state in place of keys and values, so its graph has no past; "
                "export it without with_past."
            )
        return [(keys[:, :, :0], values[:, :, :0]) for keys, values in cache]


class DecoderWithPast(Decoder):
    """A language model with one stack: new tokens and a past to logits and the longer past."""

    name = "model"

    def __init__(self, model: FamilyModel) -> None:
        super().__init__(model)
        count = len(self._empty(self._texts(Size(1, 2, 0))[0]))
        self.past, self.present = names("past_key_values", count), names("present", count)
        self.inputs = {
            "input_ids": TOKENS,
            "attention_mask": {0: "batch", 1: "total_sequence"},
            **dict.fromkeys(self.past, PAST),
        }
        self.outputs = {"logits": TOKENS, **dict.fromkeys(self.present, TOTAL)}

    def compute(self, inputs: Tensors) -> Mapping[str, Tensor]:
        cache = GivenCache(list(rows_of(inputs, self.past)))
        logits = self._scores(inputs["input_ids"], inputs["attention_mask"], cache)
        return {"logits": logits, **named(self.present, cache.held)}

    def example(self, size: Size) -> tuple[Tensors, Mapping[str, Tensor]]:
        ids, mask = self._texts(size)
        cache = self._past(ids, mask, size.past)
        held = list(cache) if size.past else self._empty(ids)
        inputs = {"input_ids": ids[:, size.past :], "attention_mask": mask, **named(self.past, held)}
        inputs = {name: tensor.clone() for name, tensor in inputs.items()}
        return inputs, {"logits": self._scores(inputs["input_ids"], mask, cache), **named(self.present, cache)}

    def _texts(self, size: Size) -> tuple[Tensor, Tensor]:
        """Ids and mask of a past and what follows, padded in front; without a past nothing is padded."""
        dummies = Dummies(self.model.config, size.rows, size.past + size.width, front=True)
        ids, mask = dummies.of("input_ids"), dummies.of("attention_mask")
        return ids.to(self.model.device), (mask if size.past else torch.ones_like(mask)).to(self.model.device)


def names(kind: str, count: int, side: str = "") -> list[str]:
    """What keys and values of ``count`` layers are called, in turn."""
    return [f"{kind}.{layer}{side}.{what}" for layer in range(count) for what in ("key", "value")]


def named(names: Sequence[str], rows: Any) -> Tensors:
    """Keys and values of layers under their names."""
    return dict(zip(names, (tensor for row in rows for tensor in row), strict=True))


def rows_of(inputs: Tensors, names: Sequence[str]) -> Iterator[Row]:
    """The reverse of ``named``."""
    for key, value in zip(names[::2], names[1::2], strict=True):
        yield inputs[key], inputs[value]
