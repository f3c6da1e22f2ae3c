"""Rotary positions as configs spell them: ``rope_theta`` with ``rope_scaling``, or ``rope_parameters``."""

from __future__ import annotations

import math
from typing import Any

from headway.config import PreTrainedConfig
from headway.errors import ConfigError, did_you_mean
from headway.spec import RopeDynamic, RopeLinear, RopeLlama3, RopeLong, RopeScaling, RopeYarn, Rotary

KINDS = ("default", "linear", "dynamic", "yarn", "longrope", "llama3")
_OTHER_NAMES = {"su": "longrope", "mrope": "default"}


# Fields that name the base, and the share of channels that turn, where no dictionary does.
_THETA = ("rope_theta", "global_rope_theta", "rotary_emb_base")
_LOCAL_THETA = ("rope_local_base_freq", "local_rope_theta")
_SHARE = ("partial_rotary_factor", "rotary_pct", "rope_pct")


def rotary(config: PreTrainedConfig, head_width: int, theta: float = 10000.0, layer_type: str | None = None) -> Rotary:
    """The rotary positions that ``config`` asks for.

    Args:
        head_width: channels of a head; ``partial_rotary_factor`` or ``rotary_dim`` turns only the first of them.
        theta: the base where the config names none.
        layer_type: ``"sliding_attention"``, ``"full_attention"``, ... in families whose layers differ. Where a file
            says nothing by kind of layer, its scaling is not that of sliding layers, and ``rope_local_base_freq`` or
            ``local_rope_theta`` is their base.

    Raises:
        ConfigError: the kind of scaling is unknown, a number that it needs is missing, or the file tells kinds of
            layers apart where the family does not.
    """
    local = layer_type == "sliding_attention"
    stretch, own = (_dictionary(config, name) for name in ("rope_scaling", "rope_parameters"))
    kinds = {name: value or {} for name, value in own.items() if isinstance(value, dict) or "_attention" in name}
    flat = {name: value for name, value in own.items() if name not in kinds}
    values = flat | _of_kind(config, kinds, layer_type)
    if local and not kinds:
        values = {name: value for name, value in flat.items() if name == "partial_rotary_factor"}
        values |= {"rope_theta": _first(config, _LOCAL_THETA) or flat.get("rope_theta")}
    elif stretch and not local:  # the older of the two, so it was set on purpose
        values = {name: values.get(name) for name in ("rope_theta", "partial_rotary_factor")} | stretch
    base = values.get("rope_theta") or (_first(config, _LOCAL_THETA) if local else None) or _first(config, _THETA)
    share = values.get("partial_rotary_factor") or _first(config, _SHARE)
    width = int(head_width * share) if share else _first(config, ("rotary_dim",)) or head_width
    return Rotary(width, float(base or theta), _scaling(config, values))


def _dictionary(config: PreTrainedConfig, name: str) -> dict[str, Any]:
    value = getattr(config, name, None) or {}
    if not isinstance(value, dict):
        raise ConfigError(
            f"{type(config).__name__}.{name} is {value!r}; give a dictionary such as {{'rope_type': ...}}."
        )
    return value


def _of_kind(config: PreTrainedConfig, kinds: dict[str, dict[str, Any]], layer_type: str | None) -> dict[str, Any]:
    """What is said of layers of one kind, or of all where the family tells none apart."""
    if layer_type is not None or not kinds:
        return kinds.get(layer_type or "", {})
    first, *others = kinds.values()
    if any(other != first for other in others):
        raise ConfigError(
            f"{type(config).__name__}.rope_parameters differ between {' and '.join(kinds)}, but the layers of this "
            "family have one kind of positions; give one dictionary for all."
        )
    return first


def _first(config: PreTrainedConfig, names: tuple[str, ...]) -> Any:
    """The first of the fields ``names`` that says something, else None."""
    return next((value for name in names if (value := getattr(config, name, None)) is not None), None)


def _scaling(config: PreTrainedConfig, values: dict[str, Any]) -> RopeScaling | None:
    kind = values.get("rope_type") or values.get("type") or "default"
    kind = "longrope" if kind == "yarn" and "short_factor" in values else _OTHER_NAMES.get(kind, kind)
    limit = getattr(config, "max_position_embeddings", 2048)
    original = int(
        getattr(config, "original_max_position_embeddings", None)
        or values.get("original_max_position_embeddings")
        or limit
    )
    try:
        match kind:
            case "default":
                return None
            case "linear":
                return RopeLinear(float(values["factor"]))
            case "dynamic":
                return RopeDynamic(float(values["factor"]), limit)
            case "yarn":
                return RopeYarn(
                    float(values.get("factor") or limit / original),
                    original,
                    values.get("beta_fast") or 32.0,
                    values.get("beta_slow") or 1.0,
                    values.get("mscale"),
                    values.get("mscale_all_dim"),
                    values.get("attention_factor"),
                    values.get("truncate", True),
                )
            case "longrope":
                return _long(values, original, limit)
            case "llama3":
                return RopeLlama3(
                    float(values["factor"]),
                    float(values["low_freq_factor"]),
                    float(values["high_freq_factor"]),
                    original,
                )
    except KeyError as missing:
        raise ConfigError(f"Rotary scaling of kind {kind!r} needs {missing} in rope_parameters.") from None
    raise ConfigError(f"The rotary scaling {kind!r} is unknown.{did_you_mean(kind, KINDS)} Use {', '.join(KINDS)}.")


def _long(values: dict[str, Any], original: int, limit: int) -> RopeLong:
    factor = limit / original if values.get("original_max_position_embeddings") is None or limit != original else None
    factor = factor if factor is not None else float(values.get("factor") or 1.0)
    attention = values.get("attention_factor")
    if attention is None:
        attention = 1.0 if factor <= 1.0 else math.sqrt(1 + math.log(factor) / math.log(original))
    return RopeLong(tuple(values["short_factor"]), tuple(values["long_factor"]), original, float(attention))
