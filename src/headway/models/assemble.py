"""Classes such as ``BertForSequenceClassification``: a family and a task put together, once."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from headway import spec
from headway.config import PreTrainedConfig
from headway.errors import InputError, did_you_mean
from headway.heads import HEADS, Seq2SeqLM
from headway.heads.losses import IGNORED
from headway.io.report import LoadReport
from headway.models.initialise import initialise
from headway.models.load import Part
from headway.models.plan import BASE, Plan, canonical_task, plan, tasks_of
from headway.models.pretrained import PreTrainedModel, fill_new
from headway.nn.batch import Batch, batch_of
from headway.nn.builders import build
from headway.nn.cache import Cache
from headway.nn.kernels import eager, kernel
from headway.nn.linear import lay_out
from headway.nn.run import Memory, Run, Trace
from headway.nn.stack import States, Tokens
from headway.outputs import BaseModelOutput, ModelOutput, Seq2SeqModelOutput
from headway.registry import Family, families


class FamilyModel(PreTrainedModel):
    """A family's backbone with one head, or none."""

    family: ClassVar[Family]
    task: ClassVar[str]

    def __init__(self, config: PreTrainedConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.plan: Plan = plan(self.family, self.task, config)
        self.backbone = self._backbone(add_pooling_layer and self.plan.pooled)
        head = self.plan.head
        self.head = None if head is None else head(config, self.plan.recipe, self.plan.backbone)
        if self._tied == "always":
            self._tie()
        if next(self.parameters()).device.type != "meta":
            initialise(self, config)
            lay_out(self)

    def _backbone(self, pooled: bool) -> Any:
        return build(self.plan.backbone, pooled)

    @property
    def _tied(self) -> str:
        """Is the output layer's weight the token table's: "always", "never" or "if_absent"?"""
        recipe = self.plan.recipe
        lm = recipe.lm if isinstance(recipe, spec.SentencePairPretraining) else recipe
        if not isinstance(lm, spec.Vocabulary):
            return "never"
        return lm.tie or ("always" if self.config.tie_word_embeddings else "never")

    def _tie(self) -> None:
        head: Any = self.head
        head.lm.decoder.weight = self.get_input_embeddings().weight

    def tie_weights(self) -> None:
        """Make the output layer share the token table where the config says so."""
        if self._tied == "always":
            self._tie()

    def parts(self) -> Any:
        return (Part("", self.plan.translation),)

    @classmethod
    def _unfilled(cls, config: PreTrainedConfig, *args: Any, **kwargs: Any) -> Self:
        with torch.device("meta"):
            return cls(config, *args, **kwargs)

    def _finish(self, report: LoadReport) -> LoadReport:
        output = "head.lm.decoder.weight"
        if self._tied == "if_absent" and output in report.new:
            self._tie()
            report = replace(report, new=tuple(name for name in report.new if name != output))
        fill_new(self, report)
        lay_out(self)
        return report

    # --- parts that users ask for ----------------------------------------------------------------------------------

    @property
    def base_model(self) -> nn.Module:
        """The backbone without the head."""
        return self.backbone

    def get_input_embeddings(self) -> nn.Embedding:
        """The token table."""
        table = getattr(self.backbone, "tokens", None)
        stack = getattr(self.backbone, "encoder", None) or getattr(self.backbone, "decoder", None) or self.backbone
        return table if table is not None else stack.embed.tokens

    def get_output_embeddings(self) -> nn.Module | None:
        """The linear layer to the vocabulary, where there is one."""
        lm = getattr(self.head, "lm", None)
        return None if lm is None else lm.decoder

    # --- running ---------------------------------------------------------------------------------------------------

    def _run(self, batch: Batch, wants: _Wants, cache: Cache | None = None, memory: Memory | None = None) -> Run:
        trace = Trace(
            hidden=[] if wants.hidden else None,
            attentions=[] if wants.attentions else None,
            cross=[] if wants.attentions else None,
            router=[] if wants.router else None,
        )
        chosen = eager if wants.attentions else kernel(self.config._attn_implementation)
        return Run(batch, chosen, cache, memory, trace)

    def _output(self, states: States, targets: dict[str, Tensor], ids: Tensor | None, return_dict: bool | None) -> Any:
        if self.head is None:
            output = self._base_output(states)
        else:
            output = self.head(states, targets, ids)
            for name, value in self._recorded(states).items():
                if value is not None:
                    output[name] = value
        wants_dict = self.config.return_dict if return_dict is None else return_dict
        return output if wants_dict else output.to_tuple()

    def _base_output(self, states: States) -> ModelOutput:
        return BaseModelOutput(last_hidden_state=states.unpacked, pooler_output=states.pooled, **self._recorded(states))

    def _recorded(self, states: States) -> dict[str, Any]:
        trace = states.trace
        return {
            "past_key_values": states.cache,
            "hidden_states": _tuple(trace.hidden),
            "attentions": _tuple(trace.attentions),
            "cross_attentions": _tuple(trace.cross) or None,
            "router_logits": _tuple(trace.router),
        }

    def _targets(self, given: dict[str, Any]) -> dict[str, Tensor]:
        known = self.plan.targets
        for name in given:
            if name not in known:
                parameters = inspect.signature(type(self).forward).parameters.values()
                takes = [*(p.name for p in parameters if p.kind is not p.VAR_KEYWORD), *known]
                labels = f" Its labels are {', '.join(known)}." if known else " It has no head, so it takes no labels."
                near = did_you_mean(name, takes)
                raise InputError(f"{type(self).__name__} takes no argument {name!r}.{near or labels}")
            if given[name] is not None and not isinstance(given[name], Tensor):
                raise InputError(
                    f"Expected {name} to be a tensor, got a {type(given[name]).__name__}; use torch.tensor."
                )
        return {name: value for name, value in given.items() if value is not None}


class _Wants:
    """What a call asks to see, from its arguments or else from the config."""

    def __init__(
        self, config: PreTrainedConfig, attentions: bool | None, hidden: bool | None, router: bool | None = None
    ) -> None:
        self.attentions = config.output_attentions if attentions is None else attentions
        self.hidden = config.output_hidden_states if hidden is None else hidden
        self.router = getattr(config, "output_router_logits", False) if router is None else router


class TextModel(FamilyModel):
    """A head on one stack over text."""

    def _backbone(self, pooled: bool) -> Any:
        if isinstance(self.plan.backbone, spec.EncoderDecoder):
            return build(self.plan.backbone, self.plan.parts)
        return build(self.plan.backbone, pooled)

    @property
    def stack(self) -> Any:
        """The stack that runs."""
        if isinstance(self.plan.backbone, spec.EncoderDecoder):
            return self.backbone.encoder or self.backbone.decoder
        return self.backbone

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        output_router_logits: bool | None = None,
        return_dict: bool | None = None,
        **labels: Any,
    ) -> Any:
        """Run the model.

        Args:
            input_ids: ``[rows, width]`` int64; or ``inputs_embeds [rows, width, channels]`` in its place.
            attention_mask: ``[rows, width]``, 1 at real tokens; padding may stand on either side.
            token_type_ids: segments, as ``input_ids``.
            position_ids: in place of counting each row from its first real token.
            past_key_values: a cache to go on from; ``use_cache`` True returns one.
            encoder_hidden_states: ``[rows, memory, channels]`` that a decoder with cross-attention looks at, with
                ``encoder_attention_mask``.
            **labels: the labels of the head, as its class says.

        Returns:
            The head's output, or a tuple with ``return_dict=False``.

        Raises:
            InputError: shapes, ids or lengths that do not fit.
        """
        targets = self._targets(labels)
        choices = 1
        if self.task == "multiple-choice":
            choices = _choices(input_ids, inputs_embeds)
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds = (
                None if x is None else x.flatten(0, 1)
                for x in (input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
            )
        rows, width, device = _shape(input_ids, inputs_embeds)
        causal = self.is_causal
        if past_key_values is None and causal and self._caches(use_cache):
            past_key_values = Cache()
        batch = batch_of(rows, width, device, attention_mask, position_ids, _past(past_key_values))
        memory = _memory(encoder_hidden_states, encoder_attention_mask)
        wants = _Wants(self.config, output_attentions, output_hidden_states, output_router_logits)
        run = self._run(batch, wants, past_key_values, memory)
        states = self._states(Tokens(input_ids, inputs_embeds, token_type_ids), run)
        states.choices = choices
        return self._output(states, targets, input_ids, return_dict)

    def _states(self, tokens: Tokens, run: Run) -> States:
        backbone: Any = self.backbone
        if isinstance(self.plan.backbone, spec.EncoderDecoder):
            states = backbone.encode(tokens, run) if backbone.encoder is not None else backbone.decode(tokens, run)
        else:
            states = backbone.states(tokens, run)
        found: States = states
        return found

    @property
    def is_causal(self) -> bool:
        """Does every token see only those before it?"""
        backbone = self.plan.backbone
        if isinstance(backbone, spec.EncoderDecoder):
            return self.plan.parts == ("decoder",)
        layer = backbone.stack.layers[0]
        mixer = layer.layer.mixer if isinstance(layer, spec.ConvolvedLayer) else layer.mixer
        return isinstance(mixer, spec.Attention) and mixer.causal

    def _caches(self, use_cache: bool | None) -> bool:
        if use_cache is None:
            return bool(getattr(self.config, "use_cache", True)) and self.task in (BASE, "causal-lm")
        return use_cache


class EncoderDecoderModel(FamilyModel):
    """A head on an encoder and a decoder."""

    def _backbone(self, pooled: bool) -> Any:
        return build(self.plan.backbone, self.plan.parts)

    def get_encoder(self) -> nn.Module:
        """The encoder's stack."""
        encoder: nn.Module = self.backbone.encoder
        return encoder

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
            **labels: the labels of the head, as its class says.

        Returns:
            The head's output, or a tuple with ``return_dict=False``.

        Raises:
            InputError: shapes, ids or lengths that do not fit.
        """
        targets = self._targets(labels)
        choices = 1
        if self.task == "multiple-choice" and encoder_outputs is None:
            choices = _choices(input_ids, inputs_embeds)
            input_ids, attention_mask, inputs_embeds = (
                None if x is None else x.flatten(0, 1) for x in (input_ids, attention_mask, inputs_embeds)
            )
        wants = _Wants(self.config, output_attentions, output_hidden_states)
        backbone: Any = self.backbone
        if encoder_outputs is None:
            rows, width, device = _shape(input_ids, inputs_embeds)
            run = self._run(batch_of(rows, width, device, attention_mask), wants)
            encoder = backbone.encode(Tokens(input_ids, inputs_embeds), run)
        else:
            states = encoder_outputs[0] if not isinstance(encoder_outputs, Tensor) else encoder_outputs
            batch = batch_of(states.shape[0], states.shape[1], states.device, attention_mask)
            encoder = States(batch.pack(states), batch, Trace())
        if decoder_input_ids is None and decoder_inputs_embeds is None:
            decoder_input_ids, decoder_attention_mask = self._shifted(
                input_ids, attention_mask, targets, decoder_attention_mask
            )
        rows, width, device = _shape(decoder_input_ids, decoder_inputs_embeds, "decoder_")
        if past_key_values is None and self._caches(use_cache, training=bool(targets)):
            past_key_values = Cache()
        if rows != encoder.batch.rows:
            raise InputError(
                f"decoder_input_ids has {rows} rows, but the encoder has {encoder.batch.rows}; give one for each."
            )
        past = _past(past_key_values)
        batch = batch_of(rows, width, device, decoder_attention_mask, None, past, "decoder_")
        run = self._run(batch, wants, past_key_values, Memory(encoder.x, encoder.batch))
        states = backbone.decode(Tokens(decoder_input_ids, decoder_inputs_embeds), run)
        states.encoder, states.choices = encoder, choices
        return self._output(states, targets, input_ids, return_dict)

    def _shifted(
        self, ids: Tensor | None, mask: Tensor | None, targets: dict[str, Tensor], decoder_mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """What the decoder reads where the caller does not say: the labels, or the input, one place to the right."""
        start = self.config.decoder_start_token_id
        start = self.config.pad_token_id if start is None else start
        if start is None:
            raise InputError("The config has neither decoder_start_token_id nor pad_token_id; pass decoder_input_ids.")
        if issubclass(HEADS.get(self.task, type(None)), Seq2SeqLM):
            if "labels" not in targets:
                raise InputError(f"{type(self).__name__} needs decoder_input_ids, or labels to make them of.")
            labels = targets["labels"]
            pad = self.config.pad_token_id if self.config.pad_token_id is not None else start
            return shift_right(labels.masked_fill(labels == IGNORED, pad), None, start), decoder_mask
        if ids is None:
            raise InputError(f"{type(self).__name__} needs decoder_input_ids where input_ids are not given.")
        return shift_right(ids, mask, start), mask if decoder_mask is None else decoder_mask

    def _caches(self, use_cache: bool | None, training: bool) -> bool:
        if use_cache is None:
            return bool(getattr(self.config, "use_cache", True)) and not training and self.task in (BASE, "seq2seq-lm")
        return use_cache

    def _base_output(self, states: States) -> ModelOutput:
        return Seq2SeqModelOutput(last_hidden_state=states.unpacked, **self._recorded(states))

    def _recorded(self, states: States) -> dict[str, Any]:
        encoder = states.encoder
        assert encoder is not None
        return {
            "past_key_values": states.cache,
            "decoder_hidden_states": _tuple(states.trace.hidden),
            "decoder_attentions": _tuple(states.trace.attentions),
            "cross_attentions": _tuple(states.trace.cross),
            "encoder_last_hidden_state": encoder.unpacked,
            "encoder_hidden_states": _tuple(encoder.trace.hidden),
            "encoder_attentions": _tuple(encoder.trace.attentions),
        }


class VisionModel(FamilyModel):
    """A head on a stack over an image."""

    main_input_name = "pixel_values"

    def forward(
        self,
        pixel_values: Tensor | None = None,
        interpolate_pos_encoding: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **labels: Any,
    ) -> Any:
        """Run the model.

        Args:
            pixel_values: ``[rows, channels, height, width]`` floats.
            interpolate_pos_encoding: resample the positions for images of another size.
            **labels: ``labels`` of the head.

        Returns:
            The head's output, or a tuple with ``return_dict=False``.

        Raises:
            InputError: an image of another shape.
        """
        targets = self._targets(labels)
        backbone: Any = self.backbone
        embedded = backbone.embed(pixel_values, interpolate_pos_encoding)
        batch = Batch(embedded.shape[0], embedded.shape[1], embedded.device)
        run = self._run(batch, _Wants(self.config, output_attentions, output_hidden_states))
        return self._output(backbone.states(embedded, run), targets, None, return_dict)

    def get_input_embeddings(self) -> Any:
        """The patch projection."""
        return self.backbone.embed.project


def shift_right(ids: Tensor, mask: Tensor | None, start: int) -> Tensor:
    """``ids`` one place later, with ``start`` at the first real place of each row."""
    shifted = ids.roll(1, 1)
    if mask is None:
        shifted[:, 0] = start
    else:
        shifted[torch.arange(len(ids), device=ids.device), mask.int().argmax(1)] = start
    return shifted


def _shape(ids: Tensor | None, vectors: Tensor | None, prefix: str = "") -> tuple[int, int, torch.device]:
    if (ids is None) == (vectors is None):
        raise InputError(f"Pass either {prefix}input_ids or {prefix}inputs_embeds.")
    for name, given in (("input_ids", ids), ("inputs_embeds", vectors)):
        if given is not None and (not isinstance(given, Tensor) or given.is_floating_point() == (name == "input_ids")):
            kind = given.dtype if isinstance(given, Tensor) else type(given).__name__
            wanted = "integers" if name == "input_ids" else "floats"
            raise InputError(f"Expected {prefix}{name} to be a tensor of {wanted}, got {kind}.")
    if ids is not None:
        if ids.dim() != 2:
            raise InputError(
                f"Expected {prefix}input_ids to have shape [batch, seq_len], got {list(ids.shape)}; "
                "add the batch axis with ids[None], or return_tensors='pt' in the tokenizer."
            )
        if 0 in ids.shape:
            raise InputError(f"{prefix}input_ids has shape {list(ids.shape)}, which holds no token.")
        return ids.shape[0], ids.shape[1], ids.device
    assert vectors is not None
    if vectors.dim() != 3:
        raise InputError(
            f"Expected {prefix}inputs_embeds to have shape [batch, seq_len, channels], got {list(vectors.shape)}."
        )
    return vectors.shape[0], vectors.shape[1], vectors.device


def _choices(ids: Tensor | None, vectors: Tensor | None) -> int:
    """How many choices each row of a multiple-choice input has."""
    for name, given, shape in (
        ("input_ids", ids, "[batch, choices, seq_len]"),
        ("inputs_embeds", vectors, "[batch, choices, seq_len, channels]"),
    ):
        if given is not None and given.dim() != shape.count(",") + 1:
            raise InputError(f"Expected {name} to have shape {shape}, got {list(given.shape)}.")
    given = ids if ids is not None else vectors
    return 1 if given is None else given.shape[1]


def _past(cache: Cache | None) -> tuple[int, ...] | int:
    """The tokens that ``cache`` holds of each row."""
    if cache is None:
        return 0
    if not isinstance(cache, Cache):
        raise InputError(
            f"Expected past_key_values to be the cache that a call with use_cache=True returned, got a "
            f"{type(cache).__name__}."
        )
    return cache.lengths


def _memory(states: Tensor | None, mask: Tensor | None) -> Memory | None:
    if states is None:
        return None
    batch = batch_of(states.shape[0], states.shape[1], states.device, mask)
    return Memory(batch.pack(states), batch)


def _tuple(values: list[Tensor] | None) -> tuple[Tensor, ...] | None:
    return None if values is None else tuple(values)


_KINDS: dict[type, type[FamilyModel]] = {
    spec.Encoder: TextModel,
    spec.Decoder: TextModel,
    spec.EncoderDecoder: EncoderDecoderModel,
    spec.VisionEncoder: VisionModel,
}


@cache
def model_class(model_type: str, task: str) -> type[FamilyModel]:
    """The class for a family and a task; the same one every time."""
    family = families()[model_type]
    task = canonical_task(family, task)
    config = family.config()
    made = plan(family, task, config)
    kind = _KINDS[type(made.backbone)]
    if made.parts != ("encoder", "decoder"):
        kind = TextModel
    name = class_name(family, task)
    said = "The bare backbone" if made.head is None else f"{(made.head.__doc__ or '').strip()}\n\n    The backbone"
    return type(
        name,
        (kind,),
        {
            "__doc__": f"{said} is {family.title}'s; see ``headway.families``.",
            "__module__": "headway",
            "family": family,
            "task": task,
            "config_class": family.config,
            "base_model_prefix": made.names.prefix,
        },
    )


def class_name(family: Family, task: str) -> str:
    """The field's name of a family with a head."""
    return family.classes.get(task, family.title + ("Model" if task == BASE else HEADS[task].suffix))


@cache
def class_names() -> dict[str, tuple[str, str]]:
    """Every class name to its family and task."""
    return {
        class_name(family, task): (family.model_type, task)
        for family in families().values()
        for task in (BASE, *tasks_of(family))
    }
