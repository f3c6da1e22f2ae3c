"""Which switches of the families' configs are turned on in tests: one entry for each, by family and name.

A family needs no entry here to be tested; each entry adds cells beside the plain ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DECODER_TASKS = ("base", "causal-lm")


@dataclass(frozen=True)
class Variant:
    """Changed fields of the tiny config.

    ``tasks`` limits it to some heads, ``width`` is the length of a row, ``image`` the size of an image other than the
    config's, ``call`` what is passed to the model besides the inputs, ``types_below`` gives token types where the
    config names no number of them, ``own`` names parameters that transformers ties but files have of their own.
    """

    values: dict[str, Any] = field(default_factory=dict)
    tasks: tuple[str, ...] | None = None
    width: int = 11
    image: tuple[int, int] | None = None
    call: dict[str, Any] = field(default_factory=dict)
    types_below: int = 0
    own: tuple[str, ...] = ()


PLAIN = Variant()


def rope(kind: str, **values: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 1000.0, **values}}


def long(original: int) -> dict[str, Any]:
    factors = {"short_factor": [1.0, 1.1, 1.3, 1.7], "long_factor": [1.0, 2.0, 3.5, 5.0]}
    return rope("longrope", original_max_position_embeddings=original, **factors)


decoder = Variant({"is_decoder": True}, ("base", "sequence-classification"))
with_memory = Variant({"is_decoder": True, "add_cross_attention": True}, DECODER_TASKS)
untied = Variant({"tie_word_embeddings": False})

DEBERTA_V2 = {
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "position_buckets": 4,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "position_biased_input": False,
    "type_vocab_size": 0,
}

VARIANTS: dict[str, dict[str, Variant]] = {
    "bert": {
        "decoder": decoder,
        "with-memory": with_memory,
        "relu": Variant({"hidden_act": "relu"}),
        "untied": untied,
    },
    "roberta": {"decoder": decoder, "with-memory": with_memory, "untied": untied},
    "distilbert": {
        "sinusoidal": Variant({"sinusoidal_pos_embds": True}),
        "relu": Variant({"activation": "relu"}),
        "untied": untied,
    },
    "albert": {
        "groups": Variant({"num_hidden_layers": 4, "num_hidden_groups": 2, "inner_group_num": 2}),
        "uneven-groups": Variant({"num_hidden_layers": 5, "num_hidden_groups": 3}),
        "untied": untied,
    },
    "electra": {"unprojected": Variant({"embedding_size": 32}), "decoder": decoder, "untied": untied},
    "deberta-v2": {
        "v2": Variant(DEBERTA_V2),
        "long": Variant(DEBERTA_V2, width=40),
        "v3": Variant({**DEBERTA_V2, "pos_att_type": "c2p|p2c", "max_relative_positions": -1}),
        "convolved": Variant({**DEBERTA_V2, "conv_kernel_size": 3, "conv_act": "gelu"}),
        "grouped-convolution": Variant({**DEBERTA_V2, "conv_kernel_size": 3, "conv_groups": 2}),
        "own-keys": Variant({**DEBERTA_V2, "share_att_key": False}),
        "c2p": Variant({**DEBERTA_V2, "pos_att_type": ["c2p"], "share_att_key": False}),
        "p2c": Variant({**DEBERTA_V2, "pos_att_type": ["p2c"], "share_att_key": False}),
        "without-buckets": Variant({**DEBERTA_V2, "position_buckets": -1, "max_relative_positions": 6}),
        "near": Variant({**DEBERTA_V2, "max_relative_positions": 8}, width=20),
        "absolute-too": Variant({**DEBERTA_V2, "position_biased_input": True, "norm_rel_ebd": "none"}),
        "untied": untied,
    },
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
    "mixtral": {
        "router": Variant({"output_router_logits": True, "router_aux_loss_coef": 0.1}),
        "window": Variant({"sliding_window": 4}),
        "one-expert": Variant({"num_experts_per_tok": 1}),
    },
    "gpt2": {
        "untied": untied,
        "inner": Variant({"n_inner": 40}),
        "inverse-layer": Variant({"scale_attn_by_inverse_layer_idx": True}),
        "unscaled": Variant({"scale_attn_weights": False}),
        "with-memory": Variant({"add_cross_attention": True}, DECODER_TASKS),
        "types": Variant(types_below=99),
    },
    "t5": {
        "gated": Variant({"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, own=("lm_head.weight",)),
        "gated-shared": Variant({"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
        "gated-silu": Variant({"feed_forward_proj": "gated-silu"}),
        "deep-decoder": Variant({"num_decoder_layers": 4}),
        "wide-heads": Variant({"d_kv": 12}),
        "long": Variant(width=40),
    },
    "bart": {
        "scaled": Variant({"scale_embedding": True}),
        "uneven-heads": Variant({"decoder_attention_heads": 2, "decoder_ffn_dim": 40}),
        # transformers sizes the cache of its lone decoder by the encoder's depth, so that one cannot be deeper there.
        "deep-decoder": Variant({"decoder_layers": 4}, ("base", "seq2seq-lm", "sequence-classification")),
        "untied": untied,
    },
    "vit": {
        "unbiased": Variant({"qkv_bias": False}),
        "pooler": Variant({"pooler_act": "relu", "pooler_output_size": 20}),
        "interpolated": Variant(image=(20, 16), call={"interpolate_pos_encoding": True}),
        "oblong": Variant({"image_size": [12, 20], "patch_size": [4, 2]}),
    },
}
