"""Models of one stack over text."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from headway import spec
from headway.models.family import FamilyModel, wanted
from headway.models.inputs import choices_of, memory_of, past_of, shape_of
from headway.models.plan import BASE
from headway.nn.batch import Batch, batch_of
from headway.nn.builders import build
from headway.nn.cache import Cache
from headway.nn.run import Run
from headway.nn.stack import States, Tokens


class TextModel(FamilyModel):
    """A head on one stack over text."""

    def _backbone(self, pooled: bool) -> Any:
        if isinstance(self.plan.backbone, spec.EncoderDecoder):
            return build(self.plan.backbone, self.plan.parts)
        return build(self.plan.backbone, pooled)

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
            **labels: the labels of the head, as its class says; ``loss_counts`` (labels of the whole step by argument,
                of which this pass is a part) and ``label_smoothing`` (0 to 1) say how the loss is made of them.

        Returns:
            The head's output, or a tuple with ``return_dict=False``.

        Raises:
            InputError: shapes, ids or lengths that do not fit.
        """
        targets = self._targets(labels)
        choices = 1
        if self.task == "multiple-choice":
            choices = choices_of(input_ids, inputs_embeds)
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds = (
                None if x is None else x.flatten(0, 1)
                for x in (input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
            )
        rows, width, device = shape_of(input_ids, inputs_embeds)
        if past_key_values is None and self.is_causal and self._caches(use_cache):
            past_key_values = Cache()
        batch = batch_of(rows, width, device, attention_mask, position_ids, past_of(past_key_values))
        memory = memory_of(encoder_hidden_states, encoder_attention_mask)
        wants = wanted(self.config, output_attentions, output_hidden_states, output_router_logits)
        run = self._run(batch, wants, past_key_values, memory)
        states = self._decoded(Tokens(input_ids, inputs_embeds, token_type_ids), run)
        states.choices = choices
        return self._output(states, targets, input_ids, return_dict)

    def _layout(self, given: dict[str, Any]) -> Batch:
        ids, vectors, mask = (given.get(name) for name in ("input_ids", "inputs_embeds", "attention_mask"))
        if self.task == "multiple-choice":
            ids, vectors, mask = (None if x is None else x.flatten(0, 1) for x in (ids, vectors, mask))
        return batch_of(*shape_of(ids, vectors), mask)

    def _decoded(self, tokens: Tokens, run: Run) -> States:
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
        assert not isinstance(backbone, spec.TwoTowers)
        return all(spec.mixer_of(layer).causal for layer in backbone.stack.layers)

    def _caches(self, use_cache: bool | None) -> bool:
        if use_cache is None:
            return self.config.use_cache and not self.training and self.task in (BASE, "causal-lm")
        return use_cache
