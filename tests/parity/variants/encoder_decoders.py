"""Switches of encoder-decoders."""

from __future__ import annotations

from parity.variants.variant import Variant, untied

VARIANTS: dict[str, dict[str, Variant]] = {
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
}
