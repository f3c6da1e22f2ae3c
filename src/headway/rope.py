"""Rotary positions as configs spell them: ``rope_theta`` with ``rope_scaling``, or ``rope_parameters``."""

from __future__ import annotations

import math
from typing import Any

from headway.config import PreTrainedConfig
from headway.errors import ConfigError, did_you_mean
from headway.spec import RopeDynamic, RopeLinear, RopeLlama3, RopeLong, RopeScaling, RopeYarn, Rotary

KINDS = ("default", "linear", "dynamic", "yarn", "longrope", "llama3")
_OTHER_NAMES = {"su": "longrope", "mrope": "default"}


def rotary(config: PreTrainedConfig, head_width: int, theta: float = 10000.0) -> Rotary:
    """The rotary positions that ``config`` asks for.

    Args:
        head_width: channels of a head; ``partial_rotary_factor`` turns only the first of them.
        theta: the base where the config names none.

    Raises:
        ConfigError: the kind of scaling is unknown, or a number that it needs is missing.
    """
    values = {
        key: value
        for key, value in (
            ("rope_theta", getattr(config, "rope_theta", None)),
            ("partial_rotary_factor", getattr(config, "partial_rotary_factor", None)),
        )
        if value is not None
    }
    values |= getattr(config, "rope_scaling", None) or {}
    values |= getattr(config, "rope_parameters", None) or {}
    width = int(head_width * values.get("partial_rotary_factor", 1.0))
    return Rotary(width, float(values.get("rope_theta", theta)), _scaling(config, values))


def _scaling(config: PreTrainedConfig, values: dict[str, Any]) -> RopeScaling | None:
    kind = values.get("rope_type", values.get("type", "default"))
    kind = _OTHER_NAMES.get(kind, kind)
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
                    int(values["original_max_position_embeddings"]),
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
