"""``OnnxConfig``: what goes into a graph and what comes out, by name, with the axes that may have any length."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from headway import spec
from headway.config import PreTrainedConfig
from headway.errors import ConfigError, InputError, did_you_mean
from headway.registry import Family, families, find_family

Axes = Mapping[int, str]

ROWS: Axes = {0: "batch"}
TOKENS: Axes = {0: "batch", 1: "sequence"}
DECODED: Axes = {0: "batch", 1: "decoder_sequence"}
CHOICES: Axes = {0: "batch", 1: "choice"}

# What heads give, where it does not hang on the family.
_OUTPUTS: Mapping[str, Mapping[str, Axes]] = {
    "causal-lm": {"logits": TOKENS},
    "image-classification": {"logits": ROWS},
    "image-classification-with-teacher": {"logits": ROWS, "cls_logits": ROWS, "distillation_logits": ROWS},
    "masked-lm": {"logits": TOKENS},
    "multiple-choice": {"logits": CHOICES},
    "next-sentence-prediction": {"logits": ROWS},
    "question-answering": {"start_logits": TOKENS, "end_logits": TOKENS},
    "seq2seq-lm": {"logits": DECODED},
    "sequence-classification": {"logits": ROWS},
    "token-classification": {"logits": TOKENS},
    "zero-shot-image-classification": {
        "logits_per_image": {0: "image_batch", 1: "text_batch"},
        "logits_per_text": {0: "text_batch", 1: "image_batch"},
        "text_embeds": {0: "text_batch"},
        "image_embeds": {0: "image_batch"},
    },
}


class OnnxConfig:
    """The inputs and outputs of an exported model; subclass it to choose others.

    Args:
        config: the model's.
        task: a head, as ``headway families`` names it; "default" is the bare backbone.

    Raises:
        ConfigError: the family does not take that head.
    """

    family: ClassVar[Family | None] = None
    default_onnx_opset: int = 18
    # How far numbers of a graph may be from the model's, as a share of the largest where that is above one.
    atol_for_validation: float = 1e-4

    def __init__(self, config: PreTrainedConfig, task: str = "default") -> None:
        self.config, self.task = config, task
        if self.family is not None and config.model_type != self.family.model_type:
            raise ConfigError(
                f"{type(self).__name__} describes {self.family.config.__name__}, got a {type(config).__name__}."
            )

    @property
    def inputs(self) -> Mapping[str, Axes]:
        """Names of inputs, in order, to their axes of any length."""
        backbone, task = self._plan().backbone, self.head
        if isinstance(backbone, spec.VisionEncoder):
            return {"pixel_values": ROWS}
        if isinstance(backbone, spec.TwoTowers):
            text = {0: "text_batch", 1: "sequence"}
            return {"input_ids": text, "pixel_values": {0: "image_batch"}, "attention_mask": text}
        tokens = {0: "batch", 1: "choice", 2: "sequence"} if task == "multiple-choice" else TOKENS
        names = ["input_ids", "attention_mask"]
        if isinstance(backbone, spec.EncoderDecoder):
            # Other heads read what the decoder makes of the encoder's text.
            decoded = ("decoder_input_ids", "decoder_attention_mask") if task in ("base", "seq2seq-lm") else ()
            return {**dict.fromkeys(names, tokens), **dict.fromkeys(decoded, DECODED)}
        embed = backbone.stack.embed
        if isinstance(embed, spec.Embed) and isinstance(embed.types, spec.TokenTypes) and embed.types.count > 1:
            names.append("token_type_ids")
        return dict.fromkeys(names, tokens)

    @property
    def outputs(self) -> Mapping[str, Axes]:
        """Names of outputs, in order, to their axes of any length."""
        made = self._plan()
        if self.head in _OUTPUTS:
            return _OUTPUTS[self.head]
        backbone, states = made.backbone, {"last_hidden_state": TOKENS}
        if isinstance(backbone, spec.VisionEncoder):
            states = {"last_hidden_state": ROWS}
        if self.head == "projection":
            embeds = "image_embeds" if isinstance(backbone, spec.VisionEncoder) else "text_embeds"
            return {embeds: ROWS, **states}
        if isinstance(made.recipe, spec.SentencePairPretraining):
            return {"prediction_logits": TOKENS, made.recipe.logits: ROWS}
        if isinstance(made.recipe, spec.ReplacedTokenDetection):
            return {"logits": TOKENS}
        if made.head is not None:
            raise ConfigError(
                f"The outputs of {self.head} are not known; subclass OnnxConfig with a property `outputs` that names "
                "them."
            )
        if isinstance(backbone, spec.EncoderDecoder):
            return {"last_hidden_state": DECODED, "encoder_last_hidden_state": TOKENS}
        assert not isinstance(backbone, spec.TwoTowers)
        return states if backbone.pooler is None else {**states, "pooler_output": ROWS}

    def generate_dummy_inputs(
        self,
        preprocessor: Any = None,
        batch_size: int = 2,
        seq_length: int = 8,
        num_choices: int = 3,
        framework: str = "pt",
    ) -> dict[str, Any]:
        """Inputs to trace or try a graph with: ids that are drawn, in rows with padding on either side or none.

        Args:
            preprocessor: not needed; taken for the sake of subclasses that read texts.
            batch_size, seq_length, num_choices: rows, tokens of a row, and choices where there is an axis for them.
            framework: "pt" gives tensors, "np" arrays.

        Raises:
            InputError: ``inputs`` holds a name of which no values can be drawn, or the framework is another.
        """
        from headway.onnx.dummies import Dummies

        if framework not in ("pt", "np"):
            raise InputError(f"framework={framework!r} is unknown; use 'pt' or 'np'.")
        dummies = Dummies(self.config, batch_size, seq_length, num_choices)
        found = {name: dummies.of(name, len(axes)) for name, axes in self.inputs.items()}
        return found if framework == "pt" else {name: tensor.numpy() for name, tensor in found.items()}

    @property
    def head(self) -> str:
        """The task as the family has it, "base" for the bare backbone; raises ``ConfigError`` where it has none."""
        from headway.heads import HEADS
        from headway.models.plan import BASE, canonical_task

        known = {"default": BASE, BASE: BASE, **{task: task for task in HEADS}}
        if self.task not in known:
            raise ConfigError(
                f"task={self.task!r} is unknown.{did_you_mean(self.task, known)} `headway families` lists the heads."
            )
        return canonical_task(find_family(self.config.model_type), known[self.task])

    def _plan(self) -> Any:
        from headway.models.plan import plan

        return plan(find_family(self.config.model_type), self.head, self.config)


def onnx_configs() -> dict[str, type[OnnxConfig]]:
    """The class of every family by its name, such as ``BertOnnxConfig``."""
    return {_name(family): _of(family.model_type) for family in families().values()}


def find_onnx_config(name: str) -> type[OnnxConfig] | None:
    """The class called ``name``; None where no family is called so."""
    return next((_of(family.model_type) for family in families().values() if _name(family) == name), None)


def _name(family: Family) -> str:
    return family.config.__name__.removesuffix("Config") + "OnnxConfig"


@cache
def _of(model_type: str) -> type[OnnxConfig]:
    family = families()[model_type]
    said = f"What goes into graphs of {family.title} and comes out."
    return type(_name(family), (OnnxConfig,), {"__doc__": said, "__module__": "headway", "family": family})
