"""Sliding windows as configs spell them: which layers look at a neighbourhood only, and how wide it is."""

from __future__ import annotations

from typing import Any

from headway.config import PreTrainedConfig
from headway.errors import ConfigError

SLIDING, FULL = "sliding_attention", "full_attention"
_OTHER_NAMES = {"local": SLIDING, "local_attention": SLIDING, "global": FULL, "global_attention": FULL}
_LETTERS = {"L": SLIDING, "G": FULL}
_SIZES = ("sliding_window", "interleaved_sliding_window", "window_size")


def windows(config: PreTrainedConfig, pattern: str = "L") -> tuple[int | None, ...]:
    """How many positions each layer's queries see, their own included; None for a layer that sees all.

    Args:
        pattern: which layers slide where the config does not say: a letter a layer, repeated, ``L`` for a local layer
            and ``G`` for a global one. ``"L"`` is Mistral, ``"LG"`` Gemma 2, ``"GLL"`` ModernBERT. Its first letter
            also says where the global layer of a config's ``sliding_window_pattern: 6`` stands.

    Raises:
        ConfigError: the layers named are fewer than the config's, or a pattern or size is none.
    """
    sizes = _sizes(config)
    return tuple(
        sizes[index % len(sizes)] if kind == SLIDING else None
        for index, kind in enumerate(layer_types(config, pattern))
    )


def layer_types(config: PreTrainedConfig, pattern: str = "L") -> tuple[str, ...]:
    """What kind each layer is: ``sliding_attention``, ``full_attention``, or another that the config names.

    Arguments and errors are those of ``windows``.
    """
    count = config.num_hidden_layers
    named = _named(config)
    if named is not None:
        if len(named) < count:
            raise ConfigError(
                f"{type(config).__name__} names the kind of {len(named)} layers, but it has {count}; name each layer."
            )
        return tuple(_OTHER_NAMES.get(kind, kind) for kind in named[:count])
    if _sizes(config) == (None,):
        return (FULL,) * count
    first = getattr(config, "max_window_layers", None)
    if first is not None:
        return tuple(SLIDING if index >= first else FULL for index in range(count))
    letters = _pattern(config, pattern)
    return tuple(_LETTERS[letters[index % len(letters)]] for index in range(count))


def window_size(config: PreTrainedConfig) -> int | None:
    """The width of the layers that slide; None where windows are switched off (null, 0, -1, ``use_sliding_window``)."""
    return _sizes(config)[0]


def _sizes(config: PreTrainedConfig) -> tuple[int | None, ...]:
    """The widths that the layers take in turn: one, but in files that list several."""
    if getattr(config, "use_sliding_window", None) is False:
        return (None,)
    both_sides = getattr(config, "local_attention", None)
    value: Any = None if both_sides is None else both_sides // 2 + 1
    for name in _SIZES:
        value = getattr(config, name, None) if value is None else value
    sizes = tuple(value) if isinstance(value, list | tuple) and value else (value,)
    if any(isinstance(size, bool) or not isinstance(size, int | None) for size in sizes):
        raise ConfigError(
            f"{type(config).__name__}: a sliding window of {value!r} is none; give a number of positions."
        )
    return tuple(size if size is not None and size > 0 else None for size in sizes)


def _named(config: PreTrainedConfig) -> list[str] | None:
    """The kinds that a config lists layer by layer."""
    for name in ("layer_types", "attention_layers"):
        kinds = getattr(config, name, None)
        if isinstance(kinds, list | tuple):
            return list(kinds)
    groups = getattr(config, "attention_types", None)  # [[["global", "local"], 12]]
    return None if not groups else [kind for kinds, times in groups for _ in range(times) for kind in kinds]


def _pattern(config: PreTrainedConfig, pattern: str) -> str:
    """The letters of the config's own pattern, else ``pattern``."""
    own: Any = None
    for name in ("sliding_window_pattern", "_sliding_window_pattern", "global_attn_every_n_layers"):
        own = getattr(config, name, None) if own is None else own
    if own is None:
        return pattern
    if isinstance(own, str) and own and set(own) <= set(_LETTERS):
        return own
    if isinstance(own, bool) or not isinstance(own, int) or own < 0:
        raise ConfigError(
            f"{type(config).__name__}: the pattern {own!r} of sliding windows is unknown; give the distance of the "
            "layers that see all, or letters such as 'LLLG'."
        )
    local = "L" * (own - 1)
    return f"G{local}" if pattern.startswith("G") else f"{local}G"
