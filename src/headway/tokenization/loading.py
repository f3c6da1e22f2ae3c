"""From the name of a checkpoint to its tokenizer."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from headway.errors import InputError, did_you_mean
from headway.io.hub import locate
from headway.tokenization.readers import read_vocabulary
from headway.tokenization.settings import FAMILY_KEY, read_settings
from headway.tokenization.tokenizer import SETTINGS, Tokenizer

T = TypeVar("T", bound=Tokenizer)
PLACE = ("revision", "subfolder", "cache_dir", "token", "local_files_only", "force_download")
_NO_MEANING = ("use_fast", "trust_remote_code")


def load(cls: type[T], name: str | os.PathLike[str], **kwargs: Any) -> T:
    """Load the tokenizer of the checkpoint ``name`` as an instance of ``cls``.

    ``kwargs`` are where to find it (PLACE) and what to change (SETTINGS).
    """
    place, overrides = split(kwargs)
    source = locate(name, **place)
    settings = read_settings(source, {**overrides, "name_or_path": os.fspath(name)})
    built = read_vocabulary(source, settings)
    config = dict(settings.config)
    if built.rebuilt:
        config.update({"tokenizer_class": "PreTrainedTokenizerFast", FAMILY_KEY: settings.family})
    return cls._assemble(built, replace(settings, config=config, kind=built.kind), overrides)


def split(kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments that say where a checkpoint is, and the settings; InputError for any other."""
    for name in kwargs:
        known = (*PLACE, *SETTINGS, *_NO_MEANING)
        if name not in known:
            raise InputError(f"from_pretrained() takes no argument {name!r}.{did_you_mean(name, known)}")
    if kwargs.get("trust_remote_code"):
        raise InputError(
            "trust_remote_code=True is refused: headway never runs code from a checkpoint. Leave it out; a tokenizer "
            "of a kind that headway does not know needs a tokenizer.json."
        )
    return (
        {name: value for name, value in kwargs.items() if name in PLACE},
        {name: value for name, value in kwargs.items() if name in SETTINGS},
    )
