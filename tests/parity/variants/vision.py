"""Switches of vision."""

from __future__ import annotations

import torch

from parity.variants.variant import Variant

# Which of the nine patches of each of three images the mask token stands for.
HIDDEN = torch.tensor([[True, False, False] * 3, [False] * 9, [True] * 8 + [False]])
interpolated = Variant(image=(20, 16), call={"interpolate_pos_encoding": True})

VARIANTS: dict[str, dict[str, Variant]] = {
    "vit": {
        "unbiased": Variant({"qkv_bias": False}),
        "pooler": Variant({"pooler_act": "relu", "pooler_output_size": 20}),
        "interpolated": interpolated,
        "oblong": Variant({"image_size": [12, 20], "patch_size": [4, 2]}),
    },
    "deit": {"pooler": Variant({"pooler_act": "relu", "pooler_output_size": 20}), "interpolated": interpolated},
    "beit": {
        "relative": Variant({"use_relative_position_bias": True}),
        "shared-relative": Variant({"use_shared_relative_position_bias": True}),
        "relative-resampled": Variant({"use_relative_position_bias": True}, image=(20, 16)),
        "absolute": Variant({"use_absolute_position_embeddings": True, "use_mask_token": True}),
        "masked": Variant({"use_mask_token": True}, ("base",), call={"bool_masked_pos": HIDDEN}),
        "absolute-resampled": Variant({"use_absolute_position_embeddings": True}, image=(20, 16)),
        "first-token": Variant({"use_mean_pooling": False}),
        "unscaled": Variant({"layer_scale_init_value": 0.0}),
    },
    "dinov2": {
        "masked": Variant(tasks=("base",), call={"bool_masked_pos": HIDDEN}),
        "gated": Variant({"use_swiglu_ffn": True, "mlp_ratio": 3}),
        "unbiased": Variant({"qkv_bias": False, "use_mask_token": False}),
        "resampled": Variant(image=(20, 16)),
    },
}
