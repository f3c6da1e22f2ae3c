"""Older spellings of a config make the network that its newer ones make."""

from __future__ import annotations

from typing import Any

import pytest

from headway import spec
from headway.registry import families
from small import small_config

LONG = {"short_factor": [1.0, 1.5], "long_factor": [2.0, 3.0]}


def network(model_type: str, **values: Any) -> Any:
    return families()[model_type].architecture(small_config(model_type, **values))


@pytest.mark.parametrize(
    ("model_type", "older", "newer"),
    [
        ("gemma", {"hidden_act": "gelu"}, {"hidden_act": "gelu_pytorch_tanh"}),
        ("gemma", {"hidden_act": "gelu", "hidden_activation": "silu"}, {"hidden_act": "silu"}),
        (
            "gemma3_text",
            {
                "rope_theta": 5e5,
                "rope_local_base_freq": 5e3,
                "rope_scaling": {"rope_type": "linear", "factor": 8.0},
                "sliding_window_pattern": 2,
            },
            {
                "rope_parameters": {
                    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 5e5},
                    "sliding_attention": {"rope_type": "default", "rope_theta": 5e3},
                },
                "layer_types": ["sliding_attention", "full_attention"],
            },
        ),
        (
            "phi3",
            {"rope_scaling": {"type": "su", **LONG}, "original_max_position_embeddings": 8, "rope_theta": 1e4},
            {"rope_parameters": {"rope_type": "longrope", **LONG}, "original_max_position_embeddings": 8},
        ),
        (
            "phi3",
            {
                "rope_scaling": {"type": "longrope", "original_max_position_embeddings": 4, **LONG},
                "original_max_position_embeddings": 8,
            },
            {"rope_parameters": {"rope_type": "longrope", **LONG}, "original_max_position_embeddings": 8},
        ),
        (
            "qwen2",
            {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
            {
                "use_sliding_window": True,
                "sliding_window": 4,
                "layer_types": ["full_attention", "sliding_attention"],
            },
        ),
        ("qwen2", {"use_sliding_window": False, "sliding_window": 4}, {"sliding_window": None}),
        ("starcoder2", {"sliding_window": 0}, {"sliding_window": None}),
    ],
)
def test_an_older_spelling(model_type: str, older: dict[str, Any], newer: dict[str, Any]) -> None:
    assert network(model_type, **older) == network(model_type, **newer)


def test_layers_of_two_kinds_have_positions_of_their_own() -> None:
    layers = network("gemma3_text", num_hidden_layers=6, sliding_window=4).stack.layers
    assert [(x.mixer.window, x.mixer.position.theta) for x in layers] == [(4, 1e4)] * 5 + [(None, 1e6)]
    assert len(spec.positions_of(layers)) == 2


def test_a_window_on_both_sides_is_named_by_its_whole_width() -> None:
    layers = network("gemma3_text", sliding_window=6, use_bidirectional_attention=True).stack.layers
    assert {(x.mixer.window, x.mixer.causal) for x in layers} == {(4, False)}
