"""Switches of encoders."""

from __future__ import annotations

from parity.variants.variant import Variant, decoder, rope, untied, with_memory

DEBERTA_V2 = {
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "position_buckets": 4,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "position_biased_input": False,
    "type_vocab_size": 0,
}

DEBERTA = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False}

THETAS = {
    "full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
}
ROTARY = {"position_embedding_type": "rotary"}
HEADS = ("masked-lm", "sequence-classification", "token-classification")

VARIANTS: dict[str, dict[str, Variant]] = {
    "bert": {
        "decoder": decoder,
        "with-memory": with_memory,
        "relu": Variant({"hidden_act": "relu"}),
        "untied": untied,
    },
    "roberta": {"decoder": decoder, "with-memory": with_memory, "untied": untied},
    "xlm-roberta": {"decoder": decoder, "untied": untied},
    "mpnet": {"long": Variant(width=40), "relu": Variant({"hidden_act": "relu"}), "untied": untied},
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
    "nomic_bert": {
        "gelu": Variant({"hidden_act": "gelu"}),
        "wide-heads": Variant({"head_dim": 12}),
        "rope": Variant(rope("linear", factor=2.5)),
        "untied": untied,
    },
    "modernbert": {
        "window": Variant({"local_attention": 6}, width=20),
        "all-local": Variant({"local_attention": 4, "layer_types": ["sliding_attention"] * 3}),
        "sharper": Variant({"rope_parameters": THETAS}),
        "mean": Variant({"classifier_pooling": "mean"}, ("sequence-classification",)),
        "biased": Variant(dict.fromkeys(("norm_bias", "attention_bias", "mlp_bias", "classifier_bias"), True)),
        "bare-output": Variant({"decoder_bias": False}, ("masked-lm",)),
        "activations": Variant({"hidden_activation": "silu", "classifier_activation": "tanh"}),
        "untied": untied,
    },
    "esm": {
        "rotary": Variant(ROTARY),
        "token-dropout": Variant({**ROTARY, "token_dropout": True}),
        # The mask is a token that the rows do hold.
        "masks": Variant({**ROTARY, "token_dropout": True, "mask_token_id": 42}, HEADS),
        "absolute-masks": Variant({"token_dropout": True, "mask_token_id": 42}, HEADS),
        "norm-before": Variant({"emb_layer_norm_before": True}),
        "untied": untied,
    },
    "deberta": {
        "relative": Variant(DEBERTA),
        "long": Variant(DEBERTA, width=40),
        "near": Variant({**DEBERTA, "max_relative_positions": 6}, width=20),
        "c2p": Variant({**DEBERTA, "pos_att_type": "c2p"}),
        "p2c": Variant({**DEBERTA, "pos_att_type": "p2c"}),
        "absolute-too": Variant({**DEBERTA, "position_biased_input": True, "type_vocab_size": 0}),
        "later-names": Variant({**DEBERTA, "legacy": False}, ("masked-lm",)),
        "untied": untied,
    },
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
        "later-names": Variant({**DEBERTA_V2, "legacy": False}, ("masked-lm",)),
        "untied": untied,
    },
}
