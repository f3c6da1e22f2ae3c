"""``ModelOutput`` and its kinds: what models return, as a dictionary, a tuple and an object at once.

Shapes in the comments: b rows, s positions, w channels, h heads, v vocabulary entries, c choices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from headway.nn.cache import Cache


class ModelOutput(dict[str, Any]):
    """The results of a forward pass; fields that are None are absent as keys and read None as attributes.

    ``output["logits"]``, ``output.logits`` and ``output[0]`` (the first field that is there) all work.
    """

    fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        own = tuple(name for name in cls.__annotations__ if name != "fields")
        cls.fields = own + tuple(name for name in cls.fields if name not in own)

    def __init__(self, **values: Any) -> None:
        super().__init__((name, value) for name, value in values.items() if value is not None)

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return dict.__getitem__(self, name)
        if name in self.fields:
            return None
        raise AttributeError(f"{type(self).__name__} has no field {name!r}; it has {', '.join(self) or 'none'}.")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __getitem__(self, key: Any) -> Any:
        return dict.__getitem__(self, key) if isinstance(key, str) else self.to_tuple()[key]

    def __missing__(self, key: str) -> Any:
        error = KeyError(key)
        if key in ("logits", "loss"):
            error.add_note(
                f"{type(self).__name__} holds {', '.join(self)}: load the model through an AutoModelFor... class for a "
                "head with logits, and pass labels for a loss."
            )
        raise error

    def to_tuple(self) -> tuple[Any, ...]:
        """All fields that are there, in order; outputs among them as tuples too."""
        return tuple(value.to_tuple() if isinstance(value, ModelOutput) else value for value in self.values())

    def __reduce__(self) -> Any:
        return (_rebuild, (type(self), dict(self)))


def _rebuild(kind: type[ModelOutput], values: dict[str, Any]) -> ModelOutput:
    return kind(**values)


class BaseModelOutput(ModelOutput):
    """A backbone's states."""

    last_hidden_state: Tensor  # [b, s, w]; zeros where the attention mask is 0
    pooler_output: Tensor | None  # [b, w]
    past_key_values: Cache | None
    hidden_states: tuple[Tensor, ...] | None  # layers + 1 of [b, s, w], the embeddings first
    attentions: tuple[Tensor, ...] | None  # layers of [b, h, s, s]
    cross_attentions: tuple[Tensor, ...] | None  # layers of [b, h, s, memory]
    router_logits: tuple[Tensor, ...] | None  # layers of [tokens, experts]


class Seq2SeqModelOutput(ModelOutput):
    """The states of an encoder-decoder."""

    last_hidden_state: Tensor  # [b, s, w], the decoder's
    past_key_values: Cache | None
    decoder_hidden_states: tuple[Tensor, ...] | None
    decoder_attentions: tuple[Tensor, ...] | None
    cross_attentions: tuple[Tensor, ...] | None
    encoder_last_hidden_state: Tensor | None
    encoder_hidden_states: tuple[Tensor, ...] | None
    encoder_attentions: tuple[Tensor, ...] | None


class HeadOutput(ModelOutput):
    """What a head returns: its loss where labels were given, its logits, then what the backbone recorded."""

    loss: Tensor | None  # scalar
    past_key_values: Cache | None
    hidden_states: tuple[Tensor, ...] | None
    attentions: tuple[Tensor, ...] | None
    cross_attentions: tuple[Tensor, ...] | None
    decoder_hidden_states: tuple[Tensor, ...] | None
    decoder_attentions: tuple[Tensor, ...] | None
    encoder_last_hidden_state: Tensor | None
    encoder_hidden_states: tuple[Tensor, ...] | None
    encoder_attentions: tuple[Tensor, ...] | None
    router_logits: tuple[Tensor, ...] | None


class SequenceClassifierOutput(HeadOutput):
    """``logits`` [b, labels]."""

    loss: Tensor | None
    logits: Tensor


class TokenClassifierOutput(HeadOutput):
    """``logits`` [b, s, labels]."""

    loss: Tensor | None
    logits: Tensor


class QuestionAnsweringModelOutput(HeadOutput):
    """Scores of each position as the start and as the end of the answer, [b, s] each."""

    loss: Tensor | None
    start_logits: Tensor
    end_logits: Tensor


class MaskedLMOutput(HeadOutput):
    """``logits`` [b, s, v]."""

    loss: Tensor | None
    logits: Tensor


class CausalLMOutput(HeadOutput):
    """``logits`` [b, s, v]; ``aux_loss`` is that of a mixture of experts' router."""

    loss: Tensor | None
    aux_loss: Tensor | None
    logits: Tensor


class Seq2SeqLMOutput(HeadOutput):
    """``logits`` [b, s, v] of the decoder's positions."""

    loss: Tensor | None
    logits: Tensor


class MultipleChoiceModelOutput(HeadOutput):
    """``logits`` [b, c]."""

    loss: Tensor | None
    logits: Tensor


class NextSentencePredictorOutput(HeadOutput):
    """``logits`` [b, 2]."""

    loss: Tensor | None
    logits: Tensor


class PreTrainingOutput(HeadOutput):
    """``prediction_logits`` [b, s, v] and the sentence relation's logits [b, 2], or ``logits`` [b, s] of ELECTRA."""

    loss: Tensor | None


class TaughtClassifierOutput(HeadOutput):
    """``logits`` [b, labels], the mean of the other two, which are those of each head."""

    loss: Tensor | None
    logits: Tensor
    cls_logits: Tensor
    distillation_logits: Tensor


class ProjectionOutput(ModelOutput):
    """A row's vector [b, w] of the width in which texts and images are compared, and the backbone's states."""

    text_embeds: Tensor | None
    image_embeds: Tensor | None
    last_hidden_state: Tensor
    hidden_states: tuple[Tensor, ...] | None
    attentions: tuple[Tensor, ...] | None


class ContrastOutput(ModelOutput):
    """How well each of t texts and i images go together, the vectors of length one, and the backbones' outputs."""

    loss: Tensor | None  # scalar
    logits_per_image: Tensor  # [i, t]
    logits_per_text: Tensor  # [t, i]
    text_embeds: Tensor  # [t, w]
    image_embeds: Tensor  # [i, w]
    text_model_output: BaseModelOutput
    vision_model_output: BaseModelOutput


class ImageClassifierOutput(HeadOutput):
    """``logits`` [b, labels]."""

    loss: Tensor | None
    logits: Tensor


class GenerateDecoderOnlyOutput(ModelOutput):
    """What ``generate`` wrote, n tokens for each of b rows, and what it was asked to keep: an item for each pass."""

    sequences: Tensor  # [b, prompt + n]
    scores: tuple[Tensor, ...] | None  # of [b, v], after the processors
    logits: tuple[Tensor, ...] | None  # of [b, v], before them
    attentions: tuple[tuple[Tensor, ...], ...] | None
    hidden_states: tuple[tuple[Tensor, ...], ...] | None
    past_key_values: Cache | None


class GenerateEncoderDecoderOutput(ModelOutput):
    """What ``generate`` wrote with an encoder-decoder."""

    sequences: Tensor  # [b, start + n]
    scores: tuple[Tensor, ...] | None
    logits: tuple[Tensor, ...] | None
    encoder_attentions: tuple[Tensor, ...] | None
    encoder_hidden_states: tuple[Tensor, ...] | None
    decoder_attentions: tuple[tuple[Tensor, ...], ...] | None
    cross_attentions: tuple[tuple[Tensor, ...], ...] | None
    decoder_hidden_states: tuple[tuple[Tensor, ...], ...] | None
    past_key_values: Cache | None


class GenerateBeamDecoderOnlyOutput(GenerateDecoderOnlyOutput):
    """As ``GenerateDecoderOnlyOutput``, by beam search."""

    sequences: Tensor
    sequences_scores: Tensor | None  # [b]
    scores: tuple[Tensor, ...] | None
    logits: tuple[Tensor, ...] | None
    beam_indices: Tensor | None  # [b, n], the row of each token among the beams of all prompts, -1 behind the end


class GenerateBeamEncoderDecoderOutput(GenerateEncoderDecoderOutput):
    """As ``GenerateEncoderDecoderOutput``, by beam search."""

    sequences: Tensor
    sequences_scores: Tensor | None
    scores: tuple[Tensor, ...] | None
    logits: tuple[Tensor, ...] | None
    beam_indices: Tensor | None
