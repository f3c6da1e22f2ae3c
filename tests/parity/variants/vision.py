"""Switches of vision."""

from __future__ import annotations

import torch

from parity.variants.variant import Variant

# Which of the nine patches of each of three images the mask token stands for.
HIDDEN = torch.tensor([[True, False, False] * 3, [False] * 9, [True] * 8 + [False]])
interpolated = Variant(image=(20, 16), call={"interpolate_pos_encoding": True})
# CLIP's image classifier of transformers does not take images of another size.
interpolated_base = Variant(
    image=(20, 16), call={"interpolate_pos_encoding": True}, tasks=("base", "zero-shot-image-classification")
)

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
    "clip_text_model": {"end": Variant({"eos_token_id": 7})},
    "clip_vision_model": {"interpolated": interpolated},
    "clip": {
        "end": Variant({"text_config": {"eos_token_id": 7}}),
        "interpolated": interpolated_base,
        "uneven": Variant({"text_config": {"hidden_size": 24, "num_hidden_layers": 2}, "projection_dim": 28}),
    },
    "siglip_text_model": {"projected": Variant({"projection_size": 20})},
    "siglip_vision_model": {"interpolated": interpolated, "headless": Variant({"vision_use_head": False})},
    "siglip": {
        "interpolated": interpolated,
        "uneven": Variant({"text_config": {"hidden_size": 24, "num_hidden_layers": 4, "projection_size": 32}}),
    },
}
