"""``AutoModel`` and its kin, one a head."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from headway.auto.config import AutoConfig
from headway.config import SOURCE_KEYWORDS, PreTrainedConfig
from headway.errors import ConfigError
from headway.models.assemble import model_class
from headway.models.classes import named_task
from headway.models.plan import BASE
from headway.registry import has_family


class _AutoModel:
    """What all Auto classes do; subclasses say for which task."""

    task: ClassVar[str]
    _registered: ClassVar[dict[type, type]]

    def __init_subclass__(cls) -> None:
        cls._registered = {}

    def __init__(self) -> None:
        name = type(self).__name__
        raise TypeError(f"{name} is not made itself; use {name}.from_pretrained or {name}.from_config.")

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *model_args: Any,
        config: PreTrainedConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """Load a checkpoint with this class's head; arguments and errors are those of ``PreTrainedModel``'s."""
        if config is None:
            places = {name: kwargs[name] for name in SOURCE_KEYWORDS if name in kwargs}
            config = AutoConfig.from_pretrained(pretrained_model_name_or_path, **places)
        kind = cls._class(config)
        return kind.from_pretrained(pretrained_model_name_or_path, *model_args, config=config, **kwargs)

    @classmethod
    def from_config(cls, config: PreTrainedConfig, **kwargs: Any) -> Any:
        """A model of ``config`` with weights drawn anew."""
        kind = cls._class(config)
        return kind.from_config(config, **kwargs) if hasattr(kind, "from_config") else kind(config, **kwargs)

    @classmethod
    def register(cls, config_class: type, model_class: type, exist_ok: bool = False) -> None:
        """Load configs of ``config_class`` as ``model_class``, a ``PreTrainedModel`` of your own.

        Raises:
            ConfigError: the class has a model registered already.
        """
        if config_class in cls._registered and not exist_ok:
            raise ConfigError(f"{config_class.__name__} has a model in {cls.__name__} already; pass exist_ok=True.")
        cls._registered[config_class] = model_class

    @classmethod
    def _class(cls, config: PreTrainedConfig) -> Any:
        if type(config) in cls._registered:
            return cls._registered[type(config)]
        if not has_family(config.model_type):
            raise ConfigError(
                f"Unrecognized configuration class {type(config).__name__} for {cls.__name__}: register a model for it "
                f"with {cls.__name__}.register, or a family with headway.register."
            )
        return model_class(config.model_type, named_task(config, cls.task))


class AutoModel(_AutoModel):
    """The bare backbone: states, no head."""

    task = BASE


class AutoModelForSequenceClassification(_AutoModel):
    """A label, a score or several labels for a whole text."""

    task = "sequence-classification"


class AutoModelForTokenClassification(_AutoModel):
    """A label for every token."""

    task = "token-classification"


class AutoModelForQuestionAnswering(_AutoModel):
    """Where in a text the answer starts and ends."""

    task = "question-answering"


class AutoModelForMaskedLM(_AutoModel):
    """The words behind masks."""

    task = "masked-lm"


class AutoModelForCausalLM(_AutoModel):
    """The next token."""

    task = "causal-lm"


class AutoModelForSeq2SeqLM(_AutoModel):
    """A text from a text."""

    task = "seq2seq-lm"


class AutoModelForMultipleChoice(_AutoModel):
    """Which of several continuations fits."""

    task = "multiple-choice"


class AutoModelForNextSentencePrediction(_AutoModel):
    """Does the second sentence follow the first?"""

    task = "next-sentence-prediction"


class AutoModelForPreTraining(_AutoModel):
    """The objective that the family was trained with."""

    task = "pretraining"


class AutoModelForZeroShotImageClassification(_AutoModel):
    """Which of several texts fits an image."""

    task = "zero-shot-image-classification"


class AutoModelForImageClassification(_AutoModel):
    """A label for an image."""

    task = "image-classification"
