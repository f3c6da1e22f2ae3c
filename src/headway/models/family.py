"""What the models of all families have in common: a plan, a backbone and a head, and what they return."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from headway import spec
from headway.config import PreTrainedConfig
from headway.errors import InputError, did_you_mean
from headway.generation.config import GenerationConfig
from headway.generation.generate import Callables, generate, settings
from headway.generation.many import generate_many
from headway.io.report import LoadReport
from headway.models.initialise import initialise
from headway.models.inputs import past_of
from headway.models.load import Part
from headway.models.plan import Plan, plan
from headway.models.pretrained import PreTrainedModel, fill_new
from headway.models.resize import resize_vocabulary
from headway.nn.batch import Batch, batch_of
from headway.nn.builders import build
from headway.nn.cache import Cache
from headway.nn.kernels import eager, kernel
from headway.nn.linear import lay_out
from headway.nn.run import Memory, Run, Trace
from headway.nn.stack import States, Tokens
from headway.outputs import BaseModelOutput, ModelOutput
from headway.registry import Family


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
        lm = recipe.lm or spec.Vocabulary() if isinstance(recipe, spec.SentencePairPretraining) else recipe
        if not isinstance(lm, spec.Vocabulary):
            return "never"
        return lm.tie or ("always" if self.config.tie_word_embeddings else "never")

    def _tie(self) -> None:
        head: Any = self.head
        head.lm.decoder.weight = self._tokens("decoder").weight

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
        if output in report.new and (self._tied == "if_absent" or self._was_tied()):
            self._tie()
            report = replace(report, new=tuple(name for name in report.new if name != output))
        fill_new(self, report)
        lay_out(self)
        return report

    def _was_tied(self) -> bool:
        """Was a file without an output layer saved with one, so that it must have been the token table?

        Configs leave ``tie_word_embeddings`` out where it was the default of the class that saved them.
        """
        recipe = getattr(self.plan.recipe, "lm", self.plan.recipe)
        own, table = type(self).__name__, self.get_input_embeddings().weight
        saved = any(
            name == own or name.endswith("ForConditionalGeneration") for name in self.config.architectures or ()
        )
        if not saved or recipe.tie is not None or self.head.lm.decoder.weight.shape != table.shape:  # type: ignore[union-attr]
            return False
        self.config.tie_word_embeddings = True
        return True

    # --- parts that users ask for ----------------------------------------------------------------------------------

    @property
    def base_model(self) -> nn.Module:
        """The backbone without the head."""
        return self.backbone

    def get_input_embeddings(self) -> nn.Embedding:
        """The token table; of two stacks with one each, the encoder's."""
        return self._tokens("encoder")

    def _tokens(self, side: str) -> nn.Embedding:
        """The token table, that of ``side`` where there are two."""
        table = getattr(self.backbone, "tokens", None)
        if table is not None:
            return table
        stacks = (getattr(self.backbone, name, None) for name in (side, "encoder", "decoder"))
        stack: Any = next((stack for stack in stacks if stack is not None), self.backbone)
        found: nn.Embedding = stack.embed.tokens
        return found

    def get_output_embeddings(self) -> nn.Module | None:
        """The linear layer to the vocabulary, where there is one."""
        lm = getattr(self.head, "lm", None)
        return None if lm is None else lm.decoder

    def resize_token_embeddings(self, new_num_tokens: int) -> nn.Embedding:
        """Make room for tokens that were added to the tokenizer, or cut the table; returns it.

        Tokens that were there keep their vectors, in the output layer too; new ones are drawn.
        """
        resize_vocabulary(self, new_num_tokens)
        return self.get_input_embeddings()

    # --- writing text ----------------------------------------------------------------------------------------------

    def can_generate(self) -> bool:
        return self.task in ("causal-lm", "seq2seq-lm")

    def generate(
        self,
        inputs: Any = None,
        generation_config: GenerationConfig | None = None,
        *,
        logits_processor: Sequence[Callable[[Tensor, Tensor], Tensor]] | None = None,
        stopping_criteria: Sequence[Callable[..., Any]] | None = None,
        prefix_allowed_tokens_fn: Callable[[int, Tensor], Sequence[int]] | None = None,
        streamer: Any = None,
        assistant_model: FamilyModel | None = None,
        tokenizer: Any = None,
        generator: torch.Generator | None = None,
        negative_prompt_ids: Tensor | None = None,
        negative_prompt_attention_mask: Tensor | None = None,
        grammar: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Write text after prompts.

        Rows may be padded on either side, as ``attention_mask`` says; it changes nothing in what is written. What was
        written stands behind the prompts as they were given; a row that ended earlier is filled with ``pad_token_id``.

        Args:
            inputs: ``input_ids [rows, tokens]`` int64: the prompts, or an encoder's input; or a list of prompts of
                any length, which are written by ``generate_many``.
            generation_config: how to write; what it does not say is the model's own, ``model.generation_config``.
            logits_processor: functions of ids ``[rows, n]`` and scores ``[rows, vocabulary]`` that return scores.
            stopping_criteria: functions of the same that return booleans ``[rows]``.
            prefix_allowed_tokens_fn: from a row's number and its ids to the ids that may follow.
            streamer: gets tokens as they are written, such as a ``TextStreamer``.
            assistant_model: a smaller model that guesses; the text is greedy's own.
            tokenizer: reads the text where ``stop_strings`` are looked for or a ``grammar`` is followed.
            generator: what sampling draws from; with the same seed it draws the same.
            negative_prompt_ids: with ``guidance_scale``, prompts to keep away from.
            grammar: what is written follows it: a ``JsonSchema`` (or one as a dictionary), ``Regex``, ``Lark`` or
                ``Choices``, or a list with one, or None, for each prompt. It needs the ``tokenizer`` and the extra
                ``headway[grammar]``. A row ends where its grammar can only end; one that ``max_new_tokens`` (20
                where nobody says otherwise) or another limit cuts short is the beginning of such a text.
            **kwargs: fields of ``GenerationConfig`` such as ``max_new_tokens=50``, and inputs of the model:
                ``input_ids``, ``attention_mask``, ``token_type_ids``, ``inputs_embeds``, ``past_key_values`` (a cache
                to go on from; ``input_ids`` is then the whole text), ``decoder_input_ids``, ``encoder_outputs``.

        Returns:
            ids ``[rows, tokens + written]`` (an encoder-decoder's begin with the decoder's start), or with
            ``return_dict_in_generate=True`` an output with ``sequences`` and what was asked for besides.

        Raises:
            InputError: an argument is unknown, out of its range or contradicts another.
        """
        added = Callables(
            logits_processor,
            stopping_criteria,
            prefix_allowed_tokens_fn,
            streamer,
            assistant_model,
            tokenizer,
            generator,
            negative_prompt_ids,
            negative_prompt_attention_mask,
            grammar,
        )
        if isinstance(inputs, list | tuple):
            return self._generate_many(inputs, generation_config, added, **kwargs)
        config, given = settings(self, generation_config, kwargs)
        return generate(self, inputs, config, given, added)

    def generate_many(
        self,
        prompts: Iterable[Any],
        generation_config: GenerationConfig | None = None,
        *,
        tokens: int = 8192,
        progress: bool = True,
        logits_processor: Sequence[Callable[[Tensor, Tensor], Tensor]] | None = None,
        stopping_criteria: Sequence[Callable[..., Any]] | None = None,
        prefix_allowed_tokens_fn: Callable[[int, Tensor], Sequence[int]] | None = None,
        assistant_model: FamilyModel | None = None,
        tokenizer: Any = None,
        generator: torch.Generator | None = None,
        **kwargs: Any,
    ) -> list[Tensor]:
        """Write text after many prompts of any length.

        Each prompt gives what ``generate`` gives for it alone. As many are at work at once as the budget allows; rows
        that are finished leave, and waiting prompts, read together without padding, take their place. Beams,
        contrastive search, guesses and guidance go batch by batch in place of this. With ``do_sample`` the draws
        depend on which rows are at work together: the same seed gives the same for the same prompts and budget alone.

        Args:
            prompts: lists of ids, tensors ``[tokens]``, or with ``tokenizer`` texts; an encoder's input where there is
                an encoder.
            tokens: the budget: rows at work times the most tokens that one of them may come to hold (of prompt and
                text, and of an encoder's input). A prompt that needs more is written alone.
            progress: show a bar on stderr where that is a terminal and the work takes long.
            **kwargs: fields of ``GenerationConfig``, where ``max_time`` is that of the whole call; ``past_key_values``
                is a cache of one row with what all prompts begin with, and stays as it is.

        The rest is as in ``generate``; processors and criteria are called for one row at a time, without padding.

        Returns:
            For each prompt in order (``num_return_sequences`` for each) ids ``[n]`` int64: the prompt and what was
            written, or of an encoder-decoder the decoder's start and what was written; no padding.

        Raises:
            InputError: a prompt holds no ids, or an argument is unknown, out of its range or contradicts another.
        """
        added = Callables(
            logits_processor,
            stopping_criteria,
            prefix_allowed_tokens_fn,
            None,
            assistant_model,
            tokenizer,
            generator,
        )
        return self._generate_many(prompts, generation_config, added, tokens, progress, **kwargs)

    def _generate_many(
        self,
        prompts: Any,
        given_config: GenerationConfig | None,
        added: Callables,
        tokens: int = 8192,
        progress: bool = True,
        **kwargs: Any,
    ) -> list[Tensor]:
        config, given = settings(self, given_config, kwargs)
        return generate_many(self, prompts, config, given, added, tokens, progress)

    # --- running ---------------------------------------------------------------------------------------------------

    def _run(self, batch: Batch, wants: Wants, cache: Cache | None = None, memory: Memory | None = None) -> Run:
        trace = Trace(
            hidden=[] if wants.hidden else None,
            attentions=[] if wants.attentions else None,
            cross=[] if wants.attentions else None,
            router=[] if wants.router else None,
        )
        chosen = eager if wants.attentions else kernel(self.config._attn_implementation)
        return Run(batch, chosen, cache, memory, trace)

    def next_scores(
        self,
        ids: Tensor,
        mask: Tensor | None,
        cache: Cache | None,
        memory: Memory | None,
        wants: Wants,
        every: bool = False,
        vectors: Tensor | None = None,
        types: Tensor | None = None,
    ) -> tuple[Tensor, Trace]:
        """What a language model says of the token that follows, as ``generate`` asks for it.

        Args:
            ids: ``[rows, width]``, or ``vectors [rows, width, channels]`` in place of them, with ``types`` of segments.
            mask: ``[rows, width]``, or None where all tokens are real.
            cache: the past, which grows by these tokens.
            memory: an encoder's states.
            every: score the token after each one, not after the last of each row alone.

        Returns:
            Scores ``[rows, vocabulary]``, or ``[rows, width, vocabulary]`` of ``every``; and what the pass recorded.
        """
        rows, width = ids.shape if vectors is None else vectors.shape[:2]
        batch = batch_of(rows, width, ids.device, mask, None, past_of(cache))
        run = self._run(batch, wants, cache, memory)
        states = self._decoded(Tokens(None if vectors is not None else ids, vectors, types), run)
        head: Any = self.head
        x = states.unpacked if every else batch.last(states.x)
        return head.lm(x), run.trace

    def _decoded(self, tokens: Tokens, run: Run) -> States:
        """The states of ``tokens`` in the stack that writes."""
        raise NotImplementedError

    def _output(self, states: States, targets: dict[str, Tensor], ids: Tensor | None, return_dict: bool | None) -> Any:
        if self.head is None:
            output = self._base_output(states)
        else:
            output = self.head(states, targets, ids)
            for name, value in self._recorded(states).items():
                if value is not None:
                    output[name] = value
        return self._given(output, return_dict)

    def _given(self, output: ModelOutput, return_dict: bool | None) -> Any:
        wants_dict = self.config.return_dict if return_dict is None else return_dict
        return output if wants_dict else output.to_tuple()

    def _base_output(self, states: States) -> ModelOutput:
        return BaseModelOutput(last_hidden_state=states.unpacked, pooler_output=states.pooled, **self._recorded(states))

    def _recorded(self, states: States) -> dict[str, Any]:
        trace = states.trace
        return {
            "past_key_values": states.cache,
            "hidden_states": recorded(trace.hidden),
            "attentions": recorded(trace.attentions) or None,
            "cross_attentions": recorded(trace.cross) or None,
            "router_logits": recorded(trace.router),
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


class Wants:
    """What a call asks to see, from its arguments or else from the config."""

    def __init__(
        self, config: PreTrainedConfig, attentions: bool | None, hidden: bool | None, router: bool | None = None
    ) -> None:
        self.attentions = config.output_attentions if attentions is None else attentions
        self.hidden = config.output_hidden_states if hidden is None else hidden
        self.router = getattr(config, "output_router_logits", False) if router is None else router


def recorded(values: list[Tensor] | None) -> tuple[Tensor, ...] | None:
    """What a trace holds of one kind, as outputs give it."""
    return None if values is None else tuple(values)
