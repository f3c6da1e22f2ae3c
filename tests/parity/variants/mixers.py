"""Switches of the decoders whose token mixer is not attention."""

from __future__ import annotations

from parity.variants.variant import Variant

VARIANTS: dict[str, dict[str, Variant]] = {
    "mamba2": {
        "wide": Variant({"expand": 2, "head_dim": 16}),
        "one-group": Variant({"n_groups": 1}),
        "own-groups": Variant({"n_groups": 4, "state_size": 5}),
        "one-chunk": Variant({"chunk_size": 256}),
        "chunks-of-rows": Variant({"chunk_size": 11}),
        "chunks-of-one": Variant({"chunk_size": 1}),
        "short-convolution": Variant({"conv_kernel": 2}),
        "no-convolution": Variant({"conv_kernel": 1}),
        "biased": Variant({"use_bias": True, "use_conv_bias": False}),
        "limits": Variant({"time_step_limit": [0.9, 1.6]}),
        "gelu": Variant({"hidden_act": "gelu"}),
        "own-residuals": Variant({"residual_in_fp32": False}),
        "tied": Variant({"tie_word_embeddings": True}),
    },
}
