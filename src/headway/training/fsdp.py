"""What ``fsdp`` and ``fsdp_config`` ask for, in the spellings of transformers.

``fsdp`` lets each process of torchrun hold a share of the weights, their gradients and the optimizer's state: True or
``"full_shard"``, or ``"shard_grad_op"``, which keeps weights whole between the passes. ``fsdp_config`` is a dictionary,
or a JSON file of one: ``reshard_after_forward``, ``activation_checkpointing``, and ``state_dict_type``, by which
checkpoints hold whole tensors (``"FULL_STATE_DICT"``) or shares that each process writes (``"SHARDED_STATE_DICT"``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headway.errors import InputError, did_you_mean

# Optimizers whose steps over shares are those over whole parameters.
OPTIMIZERS = ("adamw_torch", "adamw_torch_fused", "sgd", "lion", "lion_32bit", "rmsprop", "adagrad")

_FORMS = {"full_shard": True, "shard_grad_op": False}
_WHOLE = "the units are the layers of the model, whatever they are called, and what stands around them"
_NO_FORMS = {
    "hybrid_shard": "all processes share one model",
    "hybrid_shard_zero2": "all processes share one model",
    "no_shard": "leave fsdp out, and processes hold replicas",
    "offload": "shares stay on the device",
}
# Keys of the config and their values that can be had; of those with None, any value changes nothing.
_KEYS: dict[str, tuple[Any, ...] | None] = {
    "reshard_after_forward": (True, False),
    "activation_checkpointing": (True, False),
    "version": (2,),
    "cpu_offload": (False,),
    "auto_wrap_policy": ("TRANSFORMER_BASED_WRAP",),
    "min_num_params": (0,),
    "state_dict_type": ("FULL_STATE_DICT", "SHARDED_STATE_DICT"),
    "xla": (False,),
    "transformer_layer_cls_to_wrap": None,
    "cpu_ram_efficient_loading": None,
}
_REASONS = {
    "version": "it is torch's fully_shard, which is version 2",
    "cpu_offload": _NO_FORMS["offload"],
    "auto_wrap_policy": _WHOLE,
    "min_num_params": _WHOLE,
    "state_dict_type": "the first process writes whole tensors, or each its share",
    "xla": "it is for torch's own devices",
}


def config(given: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """``fsdp_config`` as a dictionary; keys may begin with ``fsdp_``. Raises ``InputError``."""
    if isinstance(given, str):
        try:
            given = json.loads(Path(given).read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"fsdp_config={given!r} is no JSON file that can be read: {error}.") from error
    if not isinstance(given, Mapping | None):
        raise InputError(f"fsdp_config must be a dictionary, or a JSON file of one, not {given!r}.")
    found = {str(key).removeprefix("fsdp_"): value for key, value in (given or {}).items()}
    for key, value in found.items():
        if key not in _KEYS:
            raise InputError(f"fsdp_config has no {key!r}.{did_you_mean(key, _KEYS)} It has {', '.join(_KEYS)}.")
        allowed = _KEYS[key]
        if allowed is not None and value not in allowed:
            why = f"; {_REASONS[key]}" if key in _REASONS else ""
            raise InputError(f"fsdp_config: {key}={value!r} cannot be had, but {' or '.join(map(repr, allowed))}{why}.")
    return found


def reshards(given: Any, settings: Mapping[str, Any]) -> bool | None:
    """Are units taken apart between the forward and the backward pass? None where nothing is cut.

    Args:
        given: ``fsdp``: a truth value, or forms as a list or divided by spaces.
        settings: what ``config`` gives.

    Raises:
        InputError: a form is unknown, or cannot be had.
    """
    forms = given.split() if isinstance(given, str) else ["full_shard"] if given is True else list(given or ())
    if not forms:
        return None
    found = True
    for form in (str(getattr(form, "value", form)) for form in forms):
        if form in _NO_FORMS:
            raise InputError(f"fsdp={form!r} cannot be had: {_NO_FORMS[form]}; use {' or '.join(_FORMS)}.")
        if form not in _FORMS and form != "auto_wrap":
            known = (*_FORMS, "auto_wrap")
            raise InputError(f"fsdp={form!r} is unknown.{did_you_mean(form, known)} Use one of {', '.join(known)}.")
        found = _FORMS.get(form, found)
    return bool(settings.get("reshard_after_forward", found))
