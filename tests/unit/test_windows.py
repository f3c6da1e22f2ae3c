"""Sliding windows, in every spelling of configs (checkpoint quirk 17)."""

from __future__ import annotations

from typing import Any

import pytest

from headway.config import PreTrainedConfig
from headway.errors import ConfigError
from headway.windows import layer_types, window_size, windows


def config(**values: Any) -> PreTrainedConfig:
    return PreTrainedConfig(**{"num_hidden_layers": 6, **values})


W = 8


@pytest.mark.parametrize(
    ("values", "pattern", "expected"),
    [
        # Mistral: one window everywhere, or none in three spellings.
        ({"sliding_window": W}, "L", [W] * 6),
        ({"sliding_window": None}, "L", [None] * 6),
        ({"sliding_window": 0}, "L", [None] * 6),
        ({"sliding_window": -1}, "L", [None] * 6),
        ({}, "L", [None] * 6),
        # Qwen2: a switch, and the first layer that slides.
        ({"sliding_window": W, "use_sliding_window": False, "max_window_layers": 2}, "L", [None] * 6),
        ({"sliding_window": W, "use_sliding_window": True, "max_window_layers": 4}, "L", [None] * 4 + [W] * 2),
        ({"sliding_window": W, "use_sliding_window": True, "max_window_layers": 6}, "L", [None] * 6),
        # The family's own pattern, where the file says none.
        ({"sliding_window": W}, "LG", [W, None] * 3),
        ({"sliding_window": W}, "GLL", [None, W, W] * 2),
        # The file's pattern, as a number or as letters.
        ({"sliding_window": W, "sliding_window_pattern": 3}, "LLLLLG", [W, W, None] * 2),
        ({"sliding_window": W, "_sliding_window_pattern": 2}, "LLLLLG", [W, None] * 3),
        ({"sliding_window": W, "sliding_window_pattern": "LLLG"}, "L", [W, W, W, None, W, W]),
        ({"sliding_window": W, "sliding_window_pattern": 1}, "LG", [None] * 6),
        ({"sliding_window": None, "sliding_window_pattern": 3}, "LG", [None] * 6),
        # ModernBERT counts both sides, and its first layer of each group is the global one.
        ({"local_attention": 14, "global_attn_every_n_layers": 2}, "GLL", [None, W] * 3),
        ({"sliding_window": W, "global_attn_every_n_layers": 2}, "LLLG", [W, None] * 3),
        # Kinds layer by layer win over patterns and switches of layers.
        (
            {"sliding_window": W, "layer_types": ["sliding_attention", "full_attention"] * 3, "max_window_layers": 0},
            "L",
            [W, None] * 3,
        ),
        (
            {"sliding_window": W, "use_sliding_window": False, "layer_types": ["sliding_attention"] * 6},
            "L",
            [None] * 6,
        ),
        ({"sliding_window": W, "layer_types": ["linear_attention", "full_attention"] * 3}, "L", [None] * 6),
        # GPT-Neo.
        ({"window_size": W, "attention_types": [[["global", "local"], 3]]}, "L", [None, W] * 3),
        ({"window_size": W, "attention_types": [[["local"], 2], [["global"], 4]]}, "L", [W, W, *[None] * 4]),
        ({"window_size": W, "attention_layers": ["global", "local"] * 3}, "L", [None, W] * 3),
        # Sizes in turn.
        ({"interleaved_sliding_window": W}, "LG", [W, None] * 3),
        ({"interleaved_sliding_window": [None, W, W]}, "L", [None, W, W] * 2),
        ({"sliding_window": [None, W]}, "L", [None, W] * 3),
    ],
)
def test_quirk_17_each_spelling_of_windows(values: dict[str, Any], pattern: str, expected: list[int | None]) -> None:
    assert windows(config(**values), pattern) == tuple(expected)


def test_kinds_of_layers_keep_what_is_no_window() -> None:
    kinds = ["linear_attention", "full_attention", "local_attention", "global", "local", "conv"]
    assert layer_types(config(layer_types=kinds)) == (
        *("linear_attention", "full_attention", "sliding_attention"),
        *("full_attention", "sliding_attention", "conv"),
    )
    assert layer_types(config(sliding_window=W), "GL") == ("full_attention", "sliding_attention") * 3


def test_fewer_layers_than_the_file_names_take_the_first() -> None:
    kinds = ["sliding_attention", "full_attention"] * 3
    assert windows(config(sliding_window=W, layer_types=kinds, num_hidden_layers=3)) == (W, None, W)
    with pytest.raises(ConfigError, match="names the kind of 6 layers, but it has 8"):
        windows(config(sliding_window=W, layer_types=kinds, num_hidden_layers=8))


def test_the_width_alone() -> None:
    assert window_size(config(sliding_window=W)) == W
    assert window_size(config(sliding_window=W, use_sliding_window=False)) is None
    assert window_size(config(sliding_window=-1)) is None


@pytest.mark.parametrize("value", ["4096", True, 2.5, {"a": 1}, ["x"]])
def test_what_is_no_window_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="sliding window"):
        windows(config(sliding_window=value))


@pytest.mark.parametrize("value", ["LXG", "", -2, 1.5, True])
def test_what_is_no_pattern_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="pattern"):
        windows(config(sliding_window=W, sliding_window_pattern=value))
