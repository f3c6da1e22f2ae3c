"""Switches of decoders with sparse experts."""

from __future__ import annotations

from parity.variants.variant import Variant, rope

router = Variant({"output_router_logits": True, "router_aux_loss_coef": 0.1})
yarn = rope("yarn", factor=4.0, original_max_position_embeddings=16, mscale=0.7, mscale_all_dim=0.4)
qwen = {
    "router": router,
    "renormalised": Variant({"norm_topk_prob": True}),
    "dense-every-other": Variant({"decoder_sparse_step": 2}),
    "dense-by-number": Variant({"mlp_only_layers": [0, 2]}),
    "one-expert": Variant({"num_experts_per_tok": 1}),
}
latent = {
    "router": Variant({"output_router_logits": True}),
    "plain-queries": Variant({"q_lora_rank": None}),
    "biased": Variant({"attention_bias": True}),
    "biased-plain-queries": Variant({"attention_bias": True, "q_lora_rank": None}),
    "scaled": Variant({"routed_scaling_factor": 1.7}),
    "all-sparse": Variant({"first_k_dense_replace": 0}),
    "wide-values": Variant({"v_head_dim": 16}),
    "yarn": Variant(yarn),
}

VARIANTS: dict[str, dict[str, Variant]] = {
    "mixtral": {
        "router": router,
        "window": Variant({"sliding_window": 4}),
        "one-expert": Variant({"num_experts_per_tok": 1}),
    },
    "qwen2_moe": {
        **qwen,
        "window": Variant(
            {
                "use_sliding_window": True,
                "sliding_window": 4,
                "layer_types": ["full_attention", "sliding_attention", "sliding_attention"],
            }
        ),
        "unbiased": Variant({"qkv_bias": False}),
    },
    "qwen3_moe": {
        **qwen,
        "window": Variant({"use_sliding_window": True, "sliding_window": 4}),
        "biased": Variant({"attention_bias": True}),
        "wide-heads": Variant({"head_dim": 12}),
    },
    "deepseek_v2": {
        **latent,
        "groups": Variant({"topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2}),
        "biased-mlp": Variant({"mlp_bias": True}),
    },
    "deepseek_v3": {
        **latent,
        "unnormalised": Variant({"norm_topk_prob": False}),
        "one-group": Variant({"n_group": 1, "topk_group": 1}),
        "halves": Variant({"rope_interleave": False}),
        "several-shared": Variant({"n_shared_experts": 2}),
    },
    "gpt_oss": {
        "router": router,
        "window": Variant({"sliding_window": 4}),
        "full": Variant({"layer_types": ["full_attention"] * 3}),
        "unbiased": Variant({"attention_bias": False}),
        "clamped": Variant({"swiglu_limit": 0.2, "swiglu_alpha": 1.1}),
        "rope": Variant(rope("default")),
    },
}
