"""The two graphs of an encoder and a decoder: the memory is made once, and each step of writing reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from headway.models.family import FamilyModel
from headway.models.inputs import memory_of
from headway.nn.batch import batch_of
from headway.nn.cached import Row
from headway.nn.run import Memory, Wants
from headway.onnx.config import TOKENS, Axes
from headway.onnx.dummies import Dummies
from headway.onnx.parts import Part, Size, Tensors
from headway.onnx.writers import PAST, TOTAL, Decoder, GivenCache, named, names, rows_of

MADE: Axes = {0: "batch", 2: "sequence"}
ENCODED: Axes = {0: "batch", 1: "encoder_sequence"}
CROSS: Axes = {0: "batch", 2: "encoder_sequence"}


def text_for(model: FamilyModel, size: Size) -> tuple[Tensor, Tensor]:
    """Ids and mask of an encoder's text; it is not as long as the decoder's."""
    dummies = Dummies(model.config, size.rows, size.width - 1)
    return dummies.of("input_ids").to(model.device), dummies.of("attention_mask").to(model.device)


class EncoderPart(Part):
    """An encoder: a text to its states and, for a decoder with a past, the keys and values that are made of them."""

    name = "encoder_model"

    def __init__(self, model: FamilyModel, with_past: bool) -> None:
        super().__init__(model)
        decoder: Any = model.backbone.decoder
        self.inputs = dict.fromkeys(("input_ids", "attention_mask"), TOKENS)
        self.outputs: Mapping[str, Axes] = {"last_hidden_state": TOKENS}
        self.crossing = [decoder.layers[number].cross for number in decoder.order] if with_past else []
        self.present = names("present", len(self.crossing), ".encoder")
        self.outputs |= dict.fromkeys(self.present, MADE)

    def compute(self, inputs: Tensors) -> Mapping[str, Tensor]:
        model: Any = self.model
        states = model.encode(inputs["input_ids"], inputs["attention_mask"], None, None, Wants()).unpacked
        rows = [[part.transpose(1, 2) for part in cross.keys_values(states)] for cross in self.crossing]
        return {"last_hidden_state": states, **named(self.present, rows)}

    def example(self, size: Size) -> tuple[Tensors, Mapping[str, Tensor]]:
        inputs = dict(zip(self.inputs, text_for(self.model, size), strict=True))
        return inputs, self.compute(inputs)


class DecoderPart(Decoder):
    """A decoder over the states of an encoder: tokens to logits."""

    name = "decoder_model"

    def __init__(self, model: FamilyModel) -> None:
        super().__init__(model)
        self.inputs = {
            "input_ids": TOKENS,
            "encoder_hidden_states": ENCODED,
            "encoder_attention_mask": ENCODED,
        }
        self.outputs = {"logits": TOKENS}

    def compute(self, inputs: Tensors) -> Mapping[str, Tensor]:
        memory = memory_of(inputs["encoder_hidden_states"], inputs["encoder_attention_mask"])
        return {"logits": self._scores(inputs["input_ids"], None, None, memory)}

    def example(self, size: Size) -> tuple[Tensors, Mapping[str, Tensor]]:
        ids = Dummies(self.model.config, size.rows, size.width).of("decoder_input_ids").to(self.model.device)
        text, mask = text_for(self.model, size)
        model: Any = self.model
        states = model.encode(text, mask, None, None, Wants()).unpacked
        inputs = dict(zip(self.inputs, (ids, states, mask), strict=True))
        return inputs, self.compute(inputs)


class DecoderPartWithPast(Decoder):
    """A decoder over keys and values: new tokens and a past to logits and the longer past."""

    name = "decoder_model"

    def __init__(self, model: FamilyModel, encoder: EncoderPart) -> None:
        super().__init__(model)
        self.encoder = encoder
        count = len(encoder.crossing)
        self.past = names("past_key_values", count, ".decoder")
        self.cross = names("past_key_values", count, ".encoder")
        self.present = names("present", count, ".decoder")
        self.inputs = {
            "input_ids": TOKENS,
            "encoder_attention_mask": ENCODED,
            **dict.fromkeys(self.past, PAST),
            **dict.fromkeys(self.cross, CROSS),
        }
        self.outputs = {"logits": TOKENS, **dict.fromkeys(self.present, TOTAL)}

    def compute(self, inputs: Tensors) -> Mapping[str, Tensor]:
        ids, mask = inputs["input_ids"], inputs["encoder_attention_mask"]
        rows = list(rows_of(inputs, self.cross))
        cross = {step: (keys, values, mask.bool()[:, None, None]) for step, (keys, values) in enumerate(rows)}
        cache = GivenCache(list(rows_of(inputs, self.past)), cross)
        # Its states are in the cache already, as keys and values.
        memory = Memory(rows[0][0], batch_of(mask.shape[0], mask.shape[1], mask.device, mask))
        logits = self._scores(ids, None, cache, memory)
        return {"logits": logits, **named(self.present, cache.held)}

    def example(self, size: Size) -> tuple[Tensors, Mapping[str, Tensor]]:
        model: Any = self.model
        ids = Dummies(model.config, size.rows, size.past + size.width).of("decoder_input_ids").to(model.device)
        given, made = self.encoder.example(size)
        mask = given["attention_mask"]
        memory = memory_of(made["last_hidden_state"], mask)
        cache: Any = self._past(ids, None, size.past, memory)
        held: list[Row] = list(cache) if size.past else self._empty(ids, memory)
        inputs = {"input_ids": ids[:, size.past :], "encoder_attention_mask": mask}
        inputs |= named(self.past, held)
        inputs |= dict(zip(self.cross, (made[name] for name in self.encoder.present), strict=True))
        inputs = {name: tensor.clone() for name, tensor in inputs.items()}
        return inputs, {"logits": self._scores(inputs["input_ids"], None, cache, memory), **named(self.present, cache)}
