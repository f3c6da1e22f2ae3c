"""Switches of the decoders before LLaMA."""

from __future__ import annotations

from parity.variants.variant import Variant, rope, untied

# No power of two: ALiBi's slopes are then of two kinds.
SIX_HEADS = {"hidden_size": 36, "num_attention_heads": 6}
FALCON_RW = {"alibi": True, "parallel_attn": False, "multi_query": False, "bias": True}
FALCON_40B = {"new_decoder_architecture": True, "num_kv_heads": 2}
tied = Variant({"tie_word_embeddings": True})

VARIANTS: dict[str, dict[str, Variant]] = {
    "gptj": {
        "whole-heads": Variant({"rotary_dim": 8}),
        "inner": Variant({"n_inner": 40}),
        "types": Variant(types_below=99),
        "tied": tied,
    },
    "gpt_neo": {
        "inner": Variant({"intermediate_size": 40}),
        "local": Variant({"attention_types": [[["local"], 1], [["global", "local"], 1]], "window_size": 3}),
        "types": Variant(types_below=99),
        "untied": untied,
    },
    "gpt_neox": {
        "sequential": Variant({"use_parallel_residual": False}),
        "unbiased": Variant({"attention_bias": False}),
        "older-spelling": Variant({"rotary_pct": 0.5, "rotary_emb_base": 500}),
        "rope-linear": Variant(rope("linear", factor=2.5, partial_rotary_factor=1.0)),
        "tied": tied,
    },
    "bloom": {
        "six-heads": Variant({"hidden_size": 36, "n_head": 6}),
        "normed-residual": Variant({"apply_residual_connection_post_layernorm": True}),
        "untied": untied,
    },
    "falcon": {
        "rw": Variant(FALCON_RW),
        "rw-six-heads": Variant({**FALCON_RW, **SIX_HEADS}),
        # Slopes and their products that are rounded in bfloat16.
        "rw-sixteen-heads": Variant({**FALCON_RW, "num_attention_heads": 16}, width=40),
        "rw-rotary": Variant({**FALCON_RW, "alibi": False}),
        "40b": Variant(FALCON_40B),
        "40b-alibi": Variant({**FALCON_40B, "alibi": True}),
        "11b": Variant({**FALCON_40B, "num_ln_in_parallel_attn": 1}),
        "inner": Variant({"ffn_hidden_size": 40, "bias": True}),
        "rope-linear": Variant(rope("linear", factor=2.5)),
        "untied": untied,
    },
    "opt": {
        "350m": Variant({"word_embed_proj_dim": 16, "do_layer_norm_before": False}),
        "narrow": Variant({"word_embed_proj_dim": 16}),
        "without-last-norm": Variant({"_remove_final_layer_norm": True}),
        "unbiased": Variant({"enable_bias": False}),
        "bare-norms": Variant({"layer_norm_elementwise_affine": False}),
        "untied": untied,
    },
    "phi": {
        "normed-heads": Variant({"qk_layernorm": True}),
        "own-heads": Variant({"num_key_value_heads": 4}),
        "rope-linear": Variant(rope("linear", factor=2.5, partial_rotary_factor=0.25)),
        "tied": tied,
    },
}
