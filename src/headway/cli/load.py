"""Models and tokenizers as commands need them."""

from __future__ import annotations

from typing import Any


def load_as_saved(name: str, task: str | None = None, **kwargs: Any) -> Any:
    """The model of a checkpoint with the head that it was saved with, or that of ``task``."""
    from headway.auto.config import AutoConfig
    from headway.config import SOURCE_KEYWORDS
    from headway.models.assemble import model_class
    from headway.models.classes import saved_task

    place = {key: kwargs[key] for key in SOURCE_KEYWORDS if key in kwargs}
    config = AutoConfig.from_pretrained(name, **place)
    kind = model_class(config.model_type, task or saved_task(config))
    return kind.from_pretrained(name, config=config, **kwargs)


def tokenizer_of(name: str, **place: Any) -> Any:
    """The tokenizer of a checkpoint, None where it has none."""
    from headway.auto.tokenizer import AutoTokenizer
    from headway.errors import TokenizerError

    try:
        return AutoTokenizer.from_pretrained(name, **place)
    except TokenizerError:
        return None
