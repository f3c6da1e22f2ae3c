"""DINOv2 (Oquab et al. 2023, arXiv:2304.07193): ViT with scaled layers, for images of any size."""

from typing import Any

from headway import spec
from headway.families import vit
from headway.layouts import FusedRows, Reshaped
from headway.names import Names, Stored, each
from headway.registry import Family, register


class Dinov2Config(vit.PatchConfig):
    model_type = "dinov2"
    qkv_bias: bool = True
    mlp_ratio: int | float = 4
    layer_norm_eps: float = 1e-6
    patch_size: int | list[int] = 14
    layerscale_value: float = 1.0
    drop_path_rate: float = 0.0
    use_swiglu_ffn: bool = False
    use_mask_token: bool = True


def mlp(c: Any) -> spec.Mlp | spec.GatedMlp:
    inner = int(c.hidden_size * c.mlp_ratio)
    if not c.use_swiglu_ffn:
        return spec.Mlp(inner, c.hidden_act)
    # Two thirds of the width, as three matrices take the place of two, in multiples of 8.
    return spec.GatedMlp((int(inner * 2 / 3) + 7) // 8 * 8, "silu", bias=True)


def architecture(c: Any) -> spec.VisionEncoder:
    norm = spec.LayerNorm(c.layer_norm_eps)
    residual = spec.ScaledPreNorm(norm, c.layerscale_value, c.drop_path_rate)
    layer = vit.layer(c, mlp(c), residual, bias=c.qkv_bias)
    patches = vit.patches(c, mask=c.use_mask_token, any_size=True)
    stack = spec.Stack(c.hidden_size, patches, spec.repeat(layer, c.num_hidden_layers))
    return spec.VisionEncoder(stack, norm, spec.Pooler(c.hidden_size, None))


def heads(c: Any) -> dict[str, spec.Recipe]:
    return {"image-classification": spec.Predict(spec.Joined((spec.FirstToken(), spec.Mean(1))))}


def names(c: Any) -> Names:
    layer: dict[Any, Any] = {**vit.ATTENTION, "attn_norm": "norm1", "mlp_norm": "norm2"}
    layer |= {f"{x}_scale.weight": f"layer_scale{i}.lambda1" for i, x in ((1, "attn"), (2, "mlp"))}
    if c.use_swiglu_ffn:
        fused = Stored("mlp.weights_in", FusedRows((mlp(c).width,) * 2))
        layer |= {("mlp.gate", "mlp.up"): fused, "mlp.down": "mlp.weights_out"}
    else:
        layer |= {"mlp.up": "mlp.fc1", "mlp.down": "mlp.fc2"}
    rows = {
        **each("embed", "embeddings", {**vit.EMBED, "mask_token": Stored("mask_token", Reshaped(1))}),
        **each("layers.{i}", "encoder.layer.{i}", layer),
        "final_norm": "layernorm",
    }
    return Names("dinov2", rows, ignore=() if c.use_mask_token else ("embeddings.mask_token",))


register(Family(Dinov2Config, "Dinov2", architecture, names, heads))
