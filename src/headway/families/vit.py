"""ViT (Dosovitskiy et al. 2020, arXiv:2010.11929): pre-norm encoder over image patches."""

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.layouts import Reshaped
from headway.names import Names, Stored, each
from headway.registry import Family, register


class ViTConfig(PreTrainedConfig):
    model_type = "vit"
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    layer_norm_eps: float = 1e-12
    image_size: int | list[int] = 224
    patch_size: int | list[int] = 16
    num_channels: int = 3
    qkv_bias: bool = True
    encoder_stride: int = 16
    pooler_output_size: int | None = None
    pooler_act: str = "tanh"


def pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def architecture(c: Any) -> spec.VisionEncoder:
    norm, heads = spec.LayerNorm(c.layer_norm_eps), c.num_attention_heads
    attention = spec.Attention(
        heads,
        spec.head_width(c.hidden_size, heads),
        bias=c.qkv_bias,
        out_bias=True,
        dropout=c.attention_probs_dropout_prob,
    )
    mlp = spec.Mlp(c.intermediate_size, c.hidden_act)
    layer = spec.Layer(attention, mlp, spec.PreNorm(norm), dropout=c.hidden_dropout_prob)
    patches = spec.Patches(pair(c.image_size), pair(c.patch_size), c.num_channels, c.hidden_size, c.hidden_dropout_prob)
    stack = spec.Stack(c.hidden_size, patches, spec.repeat(layer, c.num_hidden_layers))
    return spec.VisionEncoder(stack, norm, spec.Pooler(c.pooler_output_size or c.hidden_size, c.pooler_act))


def names(c: Any) -> Names:
    layer = {
        **{f"attn.{x[0]}": f"attention.attention.{x}" for x in ("query", "key", "value")},
        "attn.o": "attention.output.dense",
        "attn_norm": "layernorm_before",
        "mlp.up": "intermediate.dense",
        "mlp.down": "output.dense",
        "mlp_norm": "layernorm_after",
    }
    return Names(
        "vit",
        {
            "embed.class_token": Stored("embeddings.cls_token", Reshaped(2)),
            "embed.positions": Stored("embeddings.position_embeddings", Reshaped(1)),
            "embed.project": "embeddings.patch_embeddings.projection",
            **each("layers.{i}", "encoder.layer.{i}", layer),
            "final_norm": "layernorm",
            "pooler.dense": "pooler.dense",
        },
        ignore=("embeddings.mask_token",),
    )


register(Family(ViTConfig, "ViT", architecture, names))
