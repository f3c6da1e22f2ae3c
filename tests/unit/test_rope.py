"""Rotary positions, in every spelling of configs (checkpoint quirk 16)."""

from __future__ import annotations

from typing import Any

import pytest

from headway import PreTrainedConfig
from headway.errors import ConfigError
from headway.rope import rotary
from headway.spec import RopeDynamic, RopeLinear, RopeLlama3, RopeLong, RopeYarn, Rotary
from small import one_sentence

LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
SLIDING, FULL = "sliding_attention", "full_attention"


def rope(layer_type: str | None = None, theta: float = 10000.0, **values: Any) -> Rotary:
    return rotary(PreTrainedConfig(**{"max_position_embeddings": 128, **values}), 16, theta, layer_type)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Rotary(16, 500.0)),
        ({"rope_theta": 700}, Rotary(16, 700.0)),
        ({"rope_theta": 700, "rope_scaling": None}, Rotary(16, 700.0)),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 700}}, Rotary(16, 700.0)),
        ({"rope_parameters": {"rope_theta": 700}, "rope_theta": 9}, Rotary(16, 700.0)),
        # "type" and "rope_type", beside the base and within the dictionary.
        ({"rope_theta": 700, "rope_scaling": {"type": "linear", "factor": 2}}, Rotary(16, 700.0, RopeLinear(2.0))),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2}}, Rotary(16, 500.0, RopeLinear(2.0))),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2}}, Rotary(16, 500.0, RopeDynamic(2.0, 128))),
        # An override in the older spelling on a file in the newer one.
        (
            {
                "rope_parameters": {"rope_type": "default", "rope_theta": 700},
                "rope_scaling": {"type": "linear", "factor": 2},
            },
            Rotary(16, 700.0, RopeLinear(2.0)),
        ),
        # The number of channels that turn.
        ({"partial_rotary_factor": 0.5}, Rotary(8, 500.0)),
        ({"rope_parameters": {"partial_rotary_factor": 0.25}}, Rotary(4, 500.0)),
        ({"rotary_pct": 0.25, "rotary_emb_base": 700}, Rotary(4, 700.0)),
        ({"rotary_dim": 8}, Rotary(8, 500.0)),
        ({"rotary_dim": None}, Rotary(16, 500.0)),
        # Llama 3.1, YaRN, LongRoPE, and their other names.
        ({"rope_scaling": {"rope_type": "llama3", **LLAMA3}}, Rotary(16, 500.0, RopeLlama3(8.0, 1.0, 4.0, 64))),
        (
            {"rope_scaling": {"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 64}},
            Rotary(16, 500.0, RopeYarn(2.0, 64)),
        ),
        ({"rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}}, Rotary(16, 500.0)),
        *(
            (
                {
                    "original_max_position_embeddings": 128,
                    "rope_scaling": {"type": name, "short_factor": [1.0] * 8, "long_factor": [2.0] * 8},
                },
                Rotary(16, 500.0, RopeLong((1.0,) * 8, (2.0,) * 8, 128, 1.0)),
            )
            for name in ("longrope", "su", "yarn")
        ),
        # The one beside the dictionary wins.
        (
            {"original_max_position_embeddings": 32, "rope_scaling": {"rope_type": "llama3", **LLAMA3}},
            Rotary(16, 500.0, RopeLlama3(8.0, 1.0, 4.0, 32)),
        ),
        # Nested, though all layers are alike.
        ({"rope_parameters": {SLIDING: {"rope_theta": 9}, FULL: {"rope_theta": 9}}}, Rotary(16, 9.0)),
    ],
)
def test_quirk_16_each_spelling_of_positions(values: dict[str, Any], expected: Rotary) -> None:
    assert rope(theta=500.0, **values) == expected


LINEAR = RopeLinear(8.0)
NESTED = {SLIDING: {"rope_theta": 7, "rope_type": "default"}, FULL: {"rope_type": "linear", "factor": 8.0}}


@pytest.mark.parametrize(
    ("values", "sliding", "full"),
    [
        # v5: nested; what a kind leaves out is the config's.
        ({"rope_parameters": NESTED}, Rotary(16, 7.0), Rotary(16, 500.0, LINEAR)),
        ({"rope_parameters": NESTED, "rope_theta": 9}, Rotary(16, 7.0), Rotary(16, 9.0, LINEAR)),
        ({"rope_parameters": {**NESTED, SLIDING: None}}, Rotary(16, 500.0), Rotary(16, 500.0, LINEAR)),
        (
            {"rope_parameters": {**NESTED, "partial_rotary_factor": 0.5}},
            Rotary(8, 7.0),
            Rotary(8, 500.0, LINEAR),
        ),
        # Gemma 3 as v4 wrote it.
        (
            {
                "rope_theta": 1e6,
                "rope_local_base_freq": 1e4,
                "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            },
            Rotary(16, 1e4),
            Rotary(16, 1e6, LINEAR),
        ),
        # A field of the family's config that the nested file does not need any more.
        ({"rope_local_base_freq": 1e4, "rope_parameters": NESTED}, Rotary(16, 7.0), Rotary(16, 500.0, LINEAR)),
        # ModernBERT as v4 wrote it.
        ({"global_rope_theta": 1.6e5, "local_rope_theta": 1e4}, Rotary(16, 1e4), Rotary(16, 1.6e5)),
        ({"global_rope_theta": 1.6e5, "local_rope_theta": None}, Rotary(16, 1.6e5), Rotary(16, 1.6e5)),
        # OLMo 3: one base, scaling of the full layers alone.
        (
            {"rope_theta": 9, "rope_scaling": {"rope_type": "linear", "factor": 8.0}},
            Rotary(16, 9.0),
            Rotary(16, 9.0, LINEAR),
        ),
        (
            {"rope_parameters": {"rope_theta": 9, "rope_type": "linear", "factor": 8.0, "partial_rotary_factor": 0.5}},
            Rotary(8, 9.0),
            Rotary(8, 9.0, LINEAR),
        ),
    ],
)
def test_quirk_16_positions_by_kind_of_layer(values: dict[str, Any], sliding: Rotary, full: Rotary) -> None:
    assert rope(SLIDING, 500.0, **values) == sliding
    assert rope(FULL, 500.0, **values) == full


def test_a_file_with_two_kinds_for_a_family_with_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="differ between sliding_attention and full_attention") as caught:
        rope(rope_parameters=NESTED)
    one_sentence(caught.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rope_scaling": {"type": "liner", "factor": 2}}, "Did you mean 'linear'"),
        ({"rope_scaling": {"type": "linear"}}, "'linear' needs 'factor'"),
        ({"rope_scaling": "linear"}, "rope_scaling is 'linear'"),
        ({"rope_parameters": [1]}, "rope_parameters is"),
    ],
)
def test_what_is_no_scaling_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        rope(**values)
