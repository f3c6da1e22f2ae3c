"""Switches of encoders."""

from __future__ import annotations

from parity.variants.variant import Variant, decoder, untied, with_memory

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
}
