"""``AutoConfig``: the config of a checkpoint, of the class that its ``model_type`` names."""

from __future__ import annotations

import os
from typing import Any

from headway.adapters.base import described_by, with_base
from headway.config import PreTrainedConfig, take_source_keywords
from headway.errors import ConfigError
from headway.io.configs import part_of, read_config, text_folder
from headway.io.hub import locate
from headway.io.source import Source
from headway.io.stored import stored_in
from headway.registry import config_class, families, is_known, register_config

# Where checkpoints of several networks describe their language model.
_TEXT_PARTS = ("text_config", "llm_config", "language_config", "thinker_config")


class AutoConfig:
    """Not to be made; its class methods give configs."""

    def __init__(self) -> None:
        raise TypeError("AutoConfig is not made itself; use AutoConfig.from_pretrained or AutoConfig.for_model.")

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """Read a checkpoint's config: a folder, a JSON file or a hub id.

        That of an adapter is the one in its folder, or else its base model's.

        Args:
            pretrained_model_name_or_path: where the checkpoint lies.
            **kwargs: as in ``PreTrainedConfig.from_pretrained``: where to look, ``return_unused_kwargs``, and fields to
                override, in either spelling (``n_heads=12``).

        Raises:
            CheckpointError: there is no such checkpoint, or it has no config.
            ConfigError: the config is not valid JSON, or its model type is unknown. Where a checkpoint of several
                networks is unknown but its language model is known, the config is that one's.
        """
        places = take_source_keywords(kwargs)
        adapter, source = with_base(locate(pretrained_model_name_or_path, **places), places)
        values = read_config(described_by(adapter, source))
        model_type = values.get("model_type") or infer_model_type(values, source)
        if not isinstance(model_type, str):
            raise ConfigError(
                f"{source.where}: model_type in {source.config_name} is {model_type!r}, but it must be text."
            )
        if not is_known(model_type):
            values = part_of(values, is_known, _TEXT_PARTS)
            if "auto_map" in values and not is_known(values.get("model_type")):
                raise ConfigError(
                    f"The model_type {model_type!r} is not known to headway, and the code that {source.name!r} brings "
                    "for it (auto_map) is never run; headway.register adds a family."
                )
            model_type = values.get("model_type") or model_type
        return config_class(model_type).from_dict({**values, "name_or_path": source.name}, **kwargs)

    @classmethod
    def for_model(cls, model_type: str, **kwargs: Any) -> PreTrainedConfig:
        """A config of ``model_type`` with its defaults, overridden by ``kwargs``."""
        return config_class(model_type)(**kwargs)

    @classmethod
    def register(cls, model_type: str, config: type[PreTrainedConfig], exist_ok: bool = False) -> None:
        """Make a config class of your own known under ``model_type``."""
        register_config(model_type, config, exist_ok)


def infer_model_type(values: dict[str, Any], source: Source) -> str:
    """The ``model_type`` that a config without one must mean, from its ``architectures`` or else the weights' names.

    Raises:
        ConfigError: neither tells.
    """
    known = families()
    for name in values.get("architectures") or ():
        fitting = [family for family in known.values() if name.startswith(family.title)]
        if fitting:
            return max(fitting, key=lambda family: len(family.title)).model_type
    keys = _keys_of(source)
    # A prefix may be that of a family and of its later versions; then the names after it tell.
    tables = {name: family.names(family.config()) for name, family in known.items()}
    counts = {name: table.count(keys) for name, table in tables.items() if table.prefix == name.split("-")[0]}
    best = [name for name, count in counts.items() if count == max(counts.values()) > 0]
    if len(best) == 1:
        return best[0]
    if path := text_folder(source):
        raise ConfigError(f"{source.name!r} is a folder of sentence-transformers; pass subfolder={path!r}.")
    raise ConfigError(
        f"{source.where} has no model_type in {source.config_name}, and neither architectures nor the names of its "
        "weights tell which; add model_type to the file."
    )


def _keys_of(source: Source) -> set[str]:
    """The names of the tensors of ``source``."""
    stored = stored_in(source)
    if stored is None or stored.entries is not None:
        return set() if stored is None else set(stored.entries or ())
    from headway.io.weights import open_weights

    return set(open_weights(source))
