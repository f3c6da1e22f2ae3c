"""Models of an encoder and a decoder."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from headway import spec
from headway.errors import InputError
from headway.heads import HEADS, Seq2SeqLM
from headway.heads.losses import IGNORED, Target, Targets
from headway.models.family import FamilyModel, recorded, wanted
from headway.models.inputs import choices_of, last_token, past_of, shape_of, shift_right
from headway.models.plan import BASE
from headway.nn.batch import Batch, batch_of
from headway.nn.builders import build
from headway.nn.cache import Cache
from headway.nn.run import Memory, Run, Trace, Wants
from headway.nn.stack import States, Tokens
from headway.outputs import BaseModelOutput, ModelOutput, Seq2SeqModelOutput


class Encoder(nn.Module):
    """The encoder of ``model``, to be run by itself; its parameters are the model's own."""

    def __init__(self, model: EncoderDecoderModel) -> None:
        super().__init__()
        self.tokens, self.stack = model.get_input_embeddings(), model.backbone.encoder
        self._model = (model,)  # which is no part of its own encoder
        self.training = model.training

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """The states of ``input_ids``, which the model and ``generate`` take as ``encoder_outputs``.

        Args:
            input_ids: ``[rows, width]`` int64, or ``inputs_embeds`` in place of them.
            attention_mask: ``[rows, width]``, 1 at real tokens.
        """
        (model,) = self._model
        wants = wanted(model.config, output_attentions, output_hidden_states)
        states = model.encode(input_ids, attention_mask, inputs_embeds, None, wants)
        seen = {"hidden_states": recorded(states.trace.hidden), "attentions": recorded(states.trace.attentions)}
        return model._given(BaseModelOutput(last_hidden_state=states.unpacked, **seen), return_dict)


class EncoderDecoderModel(FamilyModel):
    """A head on an encoder and a decoder."""

    def _backbone(self, pooled: bool) -> Any:
        return build(self.plan.backbone, self.plan.parts)

    def get_encoder(self) -> Encoder:
        """The encoder, to be run by itself."""
        return Encoder(self)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: Any = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **labels: Any,
    ) -> Any:
        """Run encoder and decoder.

        Args:
            input_ids: ``[rows, width]`` int64, the encoder's; or ``inputs_embeds``; or ``encoder_outputs`` of an
                earlier call, whose first item is ``[rows, width, channels]``.
            attention_mask: ``[rows, width]``, 1 at real tokens of the encoder.
            decoder_input_ids: ``[rows, steps]``; left out, ``labels`` or ``input_ids`` shifted right.
            past_key_values: a cache to go on from; ``use_cache`` True returns one.
            **labels: the labels of the head, as its class says; ``loss_counts`` (labels of the whole step by argument,
                of which this pass is a part) and ``label_smoothing`` (0 to 1) say how the loss is made of them.

        Returns:
            The head's output, or a tuple with ``return_dict=False``.

        Raises:
            InputError: shapes, ids or lengths that do not fit.
        """
        targets = self._targets(labels)
        choices = 1
        if self.task == "multiple-choice" and encoder_outputs is None:
            choices = choices_of(input_ids, inputs_embeds)
            input_ids, attention_mask, inputs_embeds = (
                None if x is None else x.flatten(0, 1) for x in (input_ids, attention_mask, inputs_embeds)
            )
        wants = wanted(self.config, output_attentions, output_hidden_states)
        encoder = self.encode(input_ids, attention_mask, inputs_embeds, encoder_outputs, wants)
        if decoder_input_ids is None and decoder_inputs_embeds is None:
            decoder_input_ids, decoder_attention_mask = self._shifted(
                input_ids, attention_mask, targets, decoder_attention_mask
            )
        rows, width, device = shape_of(decoder_input_ids, decoder_inputs_embeds, "decoder_")
        if past_key_values is None and self._caches(use_cache, training=bool(targets)):
            past_key_values = Cache()
        if rows != encoder.batch.rows:
            raise InputError(
                f"decoder_input_ids has {rows} rows, but the encoder has {encoder.batch.rows}; give one for each."
            )
        past = past_of(past_key_values)
        batch = batch_of(rows, width, device, decoder_attention_mask, None, past, "decoder_")
        run = self._run(batch, wants, past_key_values, Memory(encoder.x, encoder.batch))
        states = self._decoded(Tokens(decoder_input_ids, decoder_inputs_embeds), run)
        states.encoder, states.choices = encoder, choices
        return self._output(states, targets, input_ids, return_dict)

    def encode(
        self, ids: Tensor | None, mask: Tensor | None, vectors: Tensor | None, outputs: Any, wants: Wants
    ) -> States:
        """The encoder's states of an input, or those that ``outputs`` of an earlier call hold."""
        if outputs is None:
            rows, width, device = shape_of(ids, vectors)
            backbone: Any = self.backbone
            found: States = backbone.encode(Tokens(ids, vectors), self._run(batch_of(rows, width, device, mask), wants))
            return found
        states = outputs if isinstance(outputs, Tensor) else outputs[0]
        batch = batch_of(states.shape[0], states.shape[1], states.device, mask)
        return States(batch.pack(states), batch, Trace())

    def _layout(self, given: dict[str, Any]) -> Batch:
        ids, vectors, mask = (given.get(f"decoder_{name}") for name in ("input_ids", "inputs_embeds", "attention_mask"))
        if ids is None and vectors is None:
            inputs, seen = given.get("input_ids"), given.get("attention_mask")
            if self.task == "multiple-choice":
                inputs, seen = (None if x is None else x.flatten(0, 1) for x in (inputs, seen))
            targets = {name: Target(given[name]) for name in self.plan.targets if given.get(name) is not None}
            ids, mask = self._shifted(inputs, seen, targets, mask)
        return batch_of(*shape_of(ids, vectors, "decoder_"), mask, prefix="decoder_")

    def _decoded(self, tokens: Tokens, run: Run) -> States:
        backbone: Any = self.backbone
        found: States = backbone.decode(tokens, run)
        return found

    def _shifted(
        self, ids: Tensor | None, mask: Tensor | None, targets: Targets, decoder_mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """What the decoder reads where the caller does not say: the labels, or the input, one place to the right."""
        if issubclass(HEADS.get(self.task, type(None)), Seq2SeqLM):
            if "labels" not in targets:
                raise InputError(f"{type(self).__name__} needs decoder_input_ids, or labels to make them of.")
            return self.prepare_decoder_input_ids_from_labels(targets["labels"].labels), decoder_mask
        if ids is None:
            raise InputError(f"{type(self).__name__} needs decoder_input_ids where input_ids are not given.")
        start = self._start
        return shift_right(ids, mask, self._first(ids, mask, start)), mask if decoder_mask is None else decoder_mask

    def prepare_decoder_input_ids_from_labels(self, labels: Tensor) -> Tensor:
        """What the decoder reads where it is to write ``labels [rows, steps]``: the same one place to the right.

        Labels of -100 become padding. Raises InputError if the config does not say what the decoder reads first.
        """
        start, pad = self._start, self.config.pad_token_id
        filler = start if pad is None else pad
        labels = labels.masked_fill(labels == IGNORED, filler)
        return shift_right(labels, None, self._first(labels, labels != filler, start))

    @property
    def _start(self) -> int:
        """The token that the decoder reads first."""
        start, pad = self.config.decoder_start_token_id, self.config.pad_token_id
        found: int | None = pad if start is None else start
        if found is None:
            raise InputError("The config has neither decoder_start_token_id nor pad_token_id; pass decoder_input_ids.")
        return found

    def _first(self, ids: Tensor, mask: Tensor | None, start: int) -> int | Tensor:
        """What the decoder reads first where it is to write ``ids``."""
        backbone: Any = self.plan.backbone
        return last_token(ids, mask) if isinstance(backbone.start, spec.LastTokenFirst) else start

    def _caches(self, use_cache: bool | None, training: bool) -> bool:
        if use_cache is None:
            return self.config.use_cache and not training and self.task in (BASE, "seq2seq-lm")
        return use_cache

    def _base_output(self, states: States) -> ModelOutput:
        return Seq2SeqModelOutput(last_hidden_state=states.unpacked, **self._recorded(states))

    def _recorded(self, states: States) -> dict[str, Any]:
        encoder = states.encoder
        assert encoder is not None
        return {
            "past_key_values": states.cache,
            "decoder_hidden_states": recorded(states.trace.hidden),
            "decoder_attentions": recorded(states.trace.attentions),
            "cross_attentions": recorded(states.trace.cross),
            "encoder_last_hidden_state": encoder.unpacked,
            "encoder_hidden_states": recorded(encoder.trace.hidden),
            "encoder_attentions": recorded(encoder.trace.attentions),
        }
