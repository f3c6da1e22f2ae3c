"""Switches of the decoders that are told in terms of LLaMA."""

from __future__ import annotations

from typing import Any

from parity.variants.variant import Variant, long, rope, untied

QWEN: dict[str, Any] = {"use_sliding_window": True, "sliding_window": 4}
tied = Variant({"tie_word_embeddings": True})
# The scale follows no width of a head.
SCALED = {"head_dim": 12, "query_pre_attn_scalar": 20}
NESTED = {
    "full_attention": {"rope_type": "linear", "factor": 2.5, "rope_theta": 5000.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 300.0},
}

VARIANTS: dict[str, dict[str, Variant]] = {
    "qwen2": {
        "window": Variant({**QWEN, "max_window_layers": 1}),
        "layer-types": Variant({**QWEN, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}),
        "window-off": Variant({"sliding_window": 4, "max_window_layers": 0}),
        "tied": tied,
        "rope-yarn": Variant(rope("yarn", factor=4.0, original_max_position_embeddings=16)),
    },
    "qwen3": {
        "window": Variant({**QWEN, "max_window_layers": 1}),
        "wide-heads": Variant({"head_dim": 12}),
        "biased": Variant({"attention_bias": True}),
        "tied": tied,
    },
    "gemma": {
        "untied": untied,
        "gelu": Variant({"hidden_act": "gelu"}),
        "biased": Variant({"attention_bias": True}),
        "one-head": Variant({"num_key_value_heads": 1}),
    },
    "gemma2": {
        "window": Variant({"sliding_window": 4, **SCALED}),
        "layer-types": Variant({"sliding_window": 4, "layer_types": ["full_attention"] * 2 + ["sliding_attention"]}),
        "capped": Variant({"attn_logit_softcapping": 0.5, "final_logit_softcapping": 0.7}),
        "uncapped": Variant({"attn_logit_softcapping": None, "final_logit_softcapping": None}),
        "untied": untied,
    },
    "gemma3_text": {
        "window": Variant({"sliding_window": 4, "sliding_window_pattern": 2, **SCALED}),
        "rope": Variant({"sliding_window_pattern": 2, "rope_parameters": NESTED}),
        "capped": Variant({"final_logit_softcapping": 0.7}),
        "bidirectional": Variant(
            {"sliding_window": 6, "sliding_window_pattern": 2, "use_bidirectional_attention": True}, ("base",)
        ),
        "untied": untied,
    },
    "phi3": {
        "rope-long-short": Variant(long(32) | {"original_max_position_embeddings": 32}),
        "rope-long-long": Variant(long(8) | {"original_max_position_embeddings": 8}),
        "rope-partial": Variant(rope("default", partial_rotary_factor=0.5)),
        "window": Variant({"sliding_window": 4}),
        "own-heads": Variant({"num_key_value_heads": 4}),
        "tied": tied,
    },
    "starcoder2": {
        "window": Variant({"sliding_window": 4}),
        "unbiased": Variant({"use_bias": False}),
        "untied": untied,
    },
}
