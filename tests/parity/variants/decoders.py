"""Switches of decoders."""

from __future__ import annotations

from parity.variants.variant import DECODER_TASKS, Variant, long, rope, untied

VARIANTS: dict[str, dict[str, Variant]] = {
    "llama": {
        "rope": Variant(rope("default")),
        "rope-linear": Variant(rope("linear", factor=2.5)),
        "rope-dynamic": Variant({"max_position_embeddings": 8, **rope("dynamic", factor=2.0)}),
        "rope-yarn": Variant(rope("yarn", factor=4.0, original_max_position_embeddings=16)),
        "rope-yarn-mscale": Variant(
            rope("yarn", factor=4.0, original_max_position_embeddings=16, mscale=0.7, mscale_all_dim=0.4)
        ),
        "rope-yarn-untruncated": Variant(
            rope("yarn", factor=4.0, original_max_position_embeddings=16, truncate=False, beta_fast=2.0, beta_slow=0.5)
        ),
        "rope-yarn-attention": Variant(
            rope("yarn", factor=4.0, original_max_position_embeddings=16, attention_factor=1.3)
        ),
        "rope-long-short": Variant(long(32)),
        "rope-long-long": Variant(long(8)),
        "rope-llama3": Variant(
            rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
        ),
        "biased": Variant({"attention_bias": True, "mlp_bias": True}),
        "tied": Variant({"tie_word_embeddings": True}),
        "wide-heads": Variant({"head_dim": 12}),
        "own-heads": Variant({"num_key_value_heads": 4}),
        "one-head": Variant({"num_key_value_heads": 1}),
    },
    "mistral": {
        "window": Variant({"sliding_window": 4}),
        "no-window": Variant({"sliding_window": None}),
        "wide-heads": Variant({"head_dim": 12}),
    },
    "gpt2": {
        "untied": untied,
        "inner": Variant({"n_inner": 40}),
        "inverse-layer": Variant({"scale_attn_by_inverse_layer_idx": True}),
        "unscaled": Variant({"scale_attn_weights": False}),
        "with-memory": Variant({"add_cross_attention": True}, DECODER_TASKS),
        "types": Variant(types_below=99),
    },
}
