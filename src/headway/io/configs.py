"""Reading the config file of a checkpoint, and the part of it that is asked for where it describes several networks."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from headway.errors import CheckpointError
from headway.io.source import Source

# What parts of a config take from the whole where they do not say it themselves.
_INHERITED = (
    *("dtype", "torch_dtype", "tie_word_embeddings", "quantization_config", "architectures"),
    *("pad_token_id", "bos_token_id", "eos_token_id"),
)


def part_of(values: dict[str, Any], fits: Callable[[Any], bool], names: Collection[str] = ()) -> dict[str, Any]:
    """The outermost part of a config whose ``model_type`` fits; ``values`` where none does, or the whole does.

    Args:
        names: the keys under which parts are looked for; all, where none are given.
    """
    if not fits(values.get("model_type")):
        for name, part in values.items():
            if isinstance(part, dict) and "model_type" in part and (not names or name in names):
                whole = {key: values[key] for key in _INHERITED if key in values}
                for key in ("dtype", "torch_dtype"):
                    if isinstance(whole.get(key), dict):
                        whole[key] = whole[key].get(name, whole[key].get(""))
                found = part_of({**whole, **part}, fits, names)
                if fits(found.get("model_type")):
                    return found
    return values


def read_config(source: Source) -> dict[str, Any]:
    """The config file of a checkpoint as a dictionary.

    Raises:
        CheckpointError: there is none; the message says what the place is instead, where that is known.
        ConfigError: it is not valid JSON.
    """
    values = source.read_json(source.config_name)
    if values is None:
        what = _what_else(source)
        if what:
            raise CheckpointError(f"{source.name!r} has no {source.config_name}: it is {what}.")
        source.require(source.config_name)
    return {name: _with_floats(value) for name, value in (values or {}).items()}


def _with_floats(value: Any) -> Any:
    """``value`` with numbers that JSON has no word for in place of ``{"__float__": "Infinity"}``."""
    if isinstance(value, dict):
        if value.keys() == {"__float__"}:
            return float(value["__float__"])
        return {name: _with_floats(item) for name, item in value.items()}
    return [_with_floats(item) for item in value] if isinstance(value, list) else value


def _what_else(source: Source) -> str:
    """What a place without a config is, and what to load, for a message; empty where that is not known."""
    adapter = source.read_json("adapter_config.json")
    if adapter is not None:
        base = adapter.get("base_model_name_or_path")
        return f"an adapter; the config is that of the model that it was trained on, {base!r}"
    path = text_folder(source)
    if path:
        return f"a folder of sentence-transformers; pass subfolder={path!r}"
    for name, what in (
        ("params.json", "a checkpoint in its makers' own format; take the repo's files for the hub"),
        ("model_index.json", "a pipeline of several models; pass subfolder= of one of them"),
    ):
        if source.find(name):
            return what
    return next(
        (
            "a GGUF checkpoint; take the safetensors repo it was made from"
            for name in source.files()
            if name.endswith(".gguf")
        ),
        "",
    )


def text_folder(source: Source) -> str:
    """The subfolder in which older folders of sentence-transformers keep their network; empty for other folders."""
    path = source.find("modules.json")
    with suppress(OSError, ValueError, LookupError, TypeError):
        return str(json.loads(path.read_text())[0]["path"]) if path is not None else ""
    return ""
