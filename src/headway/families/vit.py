"""ViT (Dosovitskiy et al. 2020, arXiv:2010.11929): pre-norm encoder over image patches."""

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.layouts import Reshaped
from headway.names import Names, Stored, each
from headway.registry import Family, register


class PatchConfig(PreTrainedConfig):
    """What the configs of ViT and its descendants have in common."""

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    layer_norm_eps: float = 1e-12
    image_size: int | list[int] = 224
    patch_size: int | list[int] = 16
    num_channels: int = 3


class ViTConfig(PatchConfig):
    model_type = "vit"
    intermediate_size: int = 3072
    qkv_bias: bool = True
    encoder_stride: int = 16
    pooler_output_size: int | None = None
    pooler_act: str = "tanh"


def patches(c: Any, **kind: Any) -> spec.Patches:
    """The images that a config tells of, cut into patches."""
    image, patch = ((size, size) if isinstance(size, int) else tuple(size) for size in (c.image_size, c.patch_size))
    dropout = getattr(c, "hidden_dropout_prob", 0.0)
    return spec.Patches(image, patch, c.num_channels, c.hidden_size, dropout=dropout, **kind)


def layer(c: Any, mlp: spec.ChannelMixer, residual: spec.Residual, **attention: Any) -> spec.Layer:
    """The layer that ViT and its descendants share."""
    heads, dropout = c.num_attention_heads, c.attention_probs_dropout_prob
    mixer = spec.Attention(heads, spec.head_width(c.hidden_size, heads), out_bias=True, dropout=dropout, **attention)
    return spec.Layer(mixer, mlp, residual, dropout=c.hidden_dropout_prob)


def architecture(c: Any, tokens: int = 1) -> spec.VisionEncoder:
    norm = spec.LayerNorm(c.layer_norm_eps)
    each_layer = layer(c, spec.Mlp(c.intermediate_size, c.hidden_act), spec.PreNorm(norm), bias=c.qkv_bias)
    stack = spec.Stack(c.hidden_size, patches(c, tokens=tokens), spec.repeat(each_layer, c.num_hidden_layers))
    return spec.VisionEncoder(stack, norm, spec.Pooler(c.pooler_output_size or c.hidden_size, c.pooler_act))


EMBED = {
    "class_tokens.0": Stored("cls_token", Reshaped(2)),
    "positions": Stored("position_embeddings", Reshaped(1)),
    "project": "patch_embeddings.projection",
}
ATTENTION = {f"attn.{x[0]}": f"attention.attention.{x}" for x in ("query", "key", "value")}
ATTENTION |= {"attn.o": "attention.output.dense"}
LAYER = ATTENTION | {"attn_norm": "layernorm_before", "mlp_norm": "layernorm_after"}
LAYER |= {"mlp.up": "intermediate.dense", "mlp.down": "output.dense"}


def names(c: Any) -> Names:
    rows = {**each("embed", "embeddings", EMBED), **each("layers.{i}", "encoder.layer.{i}", LAYER)}
    rows |= {"final_norm": "layernorm", "pooler.dense": "pooler.dense"}
    return Names(c.model_type, rows, ignore=("embeddings.mask_token",))


register(Family(ViTConfig, "ViT", architecture, names))
