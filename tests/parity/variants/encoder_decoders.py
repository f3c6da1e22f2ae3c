"""Switches of encoder-decoders."""

from __future__ import annotations

from parity.variants.variant import Variant, untied

OWN_HEAD = ("lm_head.weight",)
# transformers sizes the cache of its lone decoder by the encoder's depth, so that one cannot be deeper there.
DEEP = Variant({"decoder_layers": 4}, ("base", "seq2seq-lm", "sequence-classification"))
SCALED = Variant({"scale_embedding": True})
UNEVEN = Variant({"decoder_attention_heads": 2, "decoder_ffn_dim": 40})
LONG = Variant(width=40)

VARIANTS: dict[str, dict[str, Variant]] = {
    "t5": {
        "gated": Variant({"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, own=OWN_HEAD),
        "gated-shared": Variant({"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
        "gated-silu": Variant({"feed_forward_proj": "gated-silu"}),
        "deep-decoder": Variant({"num_decoder_layers": 4}),
        "wide-heads": Variant({"d_kv": 12}),
        "long": LONG,
    },
    "mt5": {
        "own-head": Variant({"tie_word_embeddings": False}, own=OWN_HEAD),
        "ungated": Variant({"feed_forward_proj": "relu"}),
        "long": LONG,
    },
    "umt5": {
        "own-head": Variant(own=OWN_HEAD),
        "ungated": Variant({"feed_forward_proj": "relu"}),
        "deep-decoder": Variant({"num_decoder_layers": 4}),
        "long": LONG,
    },
    "bart": {"scaled": SCALED, "uneven-heads": UNEVEN, "deep-decoder": DEEP, "untied": untied},
    "mbart": {
        "scaled": SCALED,
        "uneven-heads": UNEVEN,
        "deep-decoder": DEEP,
        "relu": Variant({"activation_function": "relu"}),
        "untied": untied,
    },
    "marian": {
        "swish": Variant({"activation_function": "swish", "scale_embedding": True}),
        "uneven-heads": UNEVEN,
        "deep-decoder": DEEP,
        # transformers sizes the output of its lone decoder by the encoder's vocabulary.
        "own-vocabularies": Variant(
            {"share_encoder_decoder_embeddings": False, "decoder_vocab_size": 101}, ("base", "seq2seq-lm")
        ),
        "untied": untied,
        "long": LONG,
    },
    "pegasus": {
        "relu": Variant({"activation_function": "relu", "scale_embedding": True}),
        "uneven-heads": UNEVEN,
        "deep-decoder": DEEP,
        "untied": untied,
        "long": LONG,
    },
    "m2m_100": {
        "unscaled": Variant({"scale_embedding": False}),
        "uneven-heads": UNEVEN,
        "deep-decoder": DEEP,
        "untied": untied,
        # Longer than max_position_embeddings: computed positions grow.
        "long": Variant({"max_position_embeddings": 8}, width=40),
    },
}
