"""What the models of all families have in common: a plan, a backbone and a head, and what they return."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from headway.config import PreTrainedConfig
from headway.errors import InputError, did_you_mean
from headway.heads import head_of
from headway.heads.losses import Target
from headway.io.report import LoadReport
from headway.models.initialise import initialise
from headway.models.inputs import past_of
from headway.models.keys import Part
from headway.models.plan import Plan, plan
from headway.models.pretrained import PreTrainedModel, fill_new
from headway.models.resize import resize_vocabulary
from headway.models.writing import Writer
from headway.nn.batch import Batch, batch_of
from headway.nn.builders import build
from headway.nn.cache import Cache
from headway.nn.kernels import eager, kernel
from headway.nn.layout import lay_back, lay_out
from headway.nn.run import Memory, Run, Trace, Wants
from headway.nn.stack import States, Tokens
from headway.outputs import BaseModelOutput, ModelOutput
from headway.registry import Family

# Arguments that every model takes besides its labels.
_SHARES = ("loss_counts", "label_smoothing")


class FamilyModel(Writer, PreTrainedModel):
    """A family's backbone with one head, or none."""

    family: ClassVar[Family]
    task: ClassVar[str]

    _laid_out = False

    def __init__(self, config: PreTrainedConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.plan: Plan = plan(self.family, self.task, config)
        self.backbone = self._backbone(add_pooling_layer and self.plan.pooled)
        head = None if self.plan.head is None else head_of(self.plan.head, self.plan.recipe)
        self.head = None if head is None else head(config, self.plan.recipe, self.plan.backbone)
        if self.plan.tie(self.config) == "always":
            self._tie()
        if next(self.parameters()).device.type != "meta":
            initialise(self, config)
            self._lay_out()

    def _lay_out(self) -> None:
        lay_out(self)
        self._laid_out = True

    def _lay_back(self) -> None:
        """Let weights lie as optimizers expect them, from the first sign of training on."""
        if self._laid_out:
            lay_back(self)
            self._laid_out = False

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode."""
        if mode:
            self._lay_back()
        return super().train(mode)

    def _backbone(self, pooled: bool) -> Any:
        return build(self.plan.backbone, pooled)

    def _tie(self) -> None:
        head: Any = self.head
        head.lm.decoder.weight = self._tokens("decoder").weight

    def tie_weights(self) -> None:
        """Make the output layer share the token table where the config says so."""
        if self.plan.tie(self.config) == "always":
            self._tie()

    def parts(self) -> Any:
        return (Part("", self.plan.translation),)

    @classmethod
    def _unfilled(cls, config: PreTrainedConfig, *args: Any, **kwargs: Any) -> Self:
        with torch.device("meta"):
            return cls(config, *args, **kwargs)

    def _finish(self, report: LoadReport) -> LoadReport:
        output = "head.lm.decoder.weight"
        if output in report.new and (self.plan.tie(self.config) == "if_absent" or self._was_tied()):
            self._tie()
            report = replace(report, new=tuple(name for name in report.new if name != output))
        fill_new(self, report)
        self._lay_out()
        return report

    def _was_tied(self) -> bool:
        """Was a file without an output layer saved with one, so that it must have been the token table?"""
        decoder = self.head.lm.decoder.weight  # type: ignore[union-attr]
        if (
            not self.plan.was_tied(self.config, type(self).__name__)
            or decoder.shape != self._tokens("encoder").weight.shape
        ):
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

    def _output(self, states: States, targets: dict[str, Target], ids: Tensor | None, return_dict: bool | None) -> Any:
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

    def loss_counts(self, **batch: Any) -> dict[str, int]:
        """How many labels each target of a batch counts, by the names of its arguments.

        Real labels count: not -100, not at padding, of a causal model those that some token predicts; of regression
        and of several labels a row, each number. ``model(**batch, loss_counts=totals)``, with the sums of these
        numbers over all batches of a step, gives the batch's share of the step's loss: the shares add up to the loss
        of all rows in one batch, and so do the gradients.

        Args:
            **batch: what the model is to be called with.

        Raises:
            InputError: labels that do not fit the inputs.
        """
        known = self.plan.targets
        labels = {name: batch[name] for name in known if batch.get(name) is not None}
        if not labels or self.head is None:
            return {}
        layout = self._layout(batch)
        return {name: self.head.count(name, given, layout) for name, given in labels.items()}

    def _layout(self, given: dict[str, Any]) -> Batch:
        """The layout of the states that the head reads where the model is called with ``given``."""
        raise NotImplementedError

    def _targets(self, given: dict[str, Any]) -> dict[str, Target]:
        totals, smoothing = given.pop("loss_counts", None), given.pop("label_smoothing", 0.0)
        known = self.plan.targets
        for name in given:
            if name not in known:
                parameters = inspect.signature(type(self).forward).parameters.values()
                takes = [*(p.name for p in parameters if p.kind is not p.VAR_KEYWORD), *known, *_SHARES]
                labels = f" Its labels are {', '.join(known)}." if known else " It has no head, so it takes no labels."
                near = did_you_mean(name, takes)
                raise InputError(f"{type(self).__name__} takes no argument {name!r}.{near or labels}")
            if given[name] is not None and not isinstance(given[name], Tensor):
                raise InputError(
                    f"Expected {name} to be a tensor, got a {type(given[name]).__name__}; use torch.tensor."
                )
        found = {name: value for name, value in given.items() if value is not None}
        if found and torch.is_grad_enabled():
            self._lay_back()
        missing = [name for name in found if totals is not None and name not in totals]
        if missing:
            raise InputError(f"loss_counts must say how many {missing[0]} the whole step counts; see loss_counts().")
        return {
            name: Target(value, None if totals is None else totals[name], smoothing) for name, value in found.items()
        }


def wanted(config: PreTrainedConfig, attentions: bool | None, hidden: bool | None, router: bool | None = None) -> Wants:
    """What a call asks to see, by its arguments or else by the config."""
    return Wants(
        config.output_attentions if attentions is None else attentions,
        config.output_hidden_states if hidden is None else hidden,
        getattr(config, "output_router_logits", False) if router is None else router,
    )


def recorded(values: list[Tensor] | None) -> tuple[Tensor, ...] | None:
    """What a trace holds of one kind, as outputs give it."""
    return None if values is None else tuple(values)
