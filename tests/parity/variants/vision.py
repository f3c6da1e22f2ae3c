"""Switches of vision."""

from __future__ import annotations

from parity.variants.variant import Variant

VARIANTS: dict[str, dict[str, Variant]] = {
    "vit": {
        "unbiased": Variant({"qkv_bias": False}),
        "pooler": Variant({"pooler_act": "relu", "pooler_output_size": 20}),
        "interpolated": Variant(image=(20, 16), call={"interpolate_pos_encoding": True}),
        "oblong": Variant({"image_size": [12, 20], "patch_size": [4, 2]}),
    },
}
