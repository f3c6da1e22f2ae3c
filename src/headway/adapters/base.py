"""Folders of adapters hold no model; where the one lies that they were made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headway.adapters.config import FILE_NAME
from headway.errors import CheckpointError
from headway.io.hub import locate
from headway.io.source import Folder, Source

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


def with_base(source: Source, places: Mapping[str, Any]) -> tuple[Source | None, Source]:
    """The adapter at ``source``, or None where a model lies there; and the place of the model itself.

    Args:
        places: how ``source`` was found: ``cache_dir``, ``token`` and their like serve for the base model too.

    Raises:
        CheckpointError: the base model is not named or not to be found.
    """
    # A repo with a config counts as a model: a look for more would cost a request each time.
    if source.find(source.config_name) and not (isinstance(source, Folder) and not source.find(*_WEIGHTS)):
        return None, source
    values = source.read_json(FILE_NAME)
    if values is None:
        return None, source
    name = values.get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise CheckpointError(
            f"The adapter in {source.name!r} does not name its base model (base_model_name_or_path in {FILE_NAME}): "
            "load the base model, and the adapter by its load_adapter."
        )
    shared = {key: value for key, value in places.items() if key not in ("revision", "subfolder")}
    try:
        base = locate(name, revision=values.get("revision"), **shared)
        base.require(base.config_name)
    except CheckpointError as error:
        raise CheckpointError(
            f"The adapter in {source.name!r} was made for the model {name!r}, which cannot be found: {error} Load that "
            "model from where it is, and the adapter by its load_adapter."
        ) from error
    return source, base


def described_by(adapter: Source | None, base: Source) -> Source:
    """Where the config lies: with the adapter where its folder has one, such as of a head that the adapter brought."""
    if isinstance(adapter, Folder) and adapter.find(adapter.config_name):
        return adapter
    return base
