"""BEiT (Bao et al. 2021, arXiv:2106.08254): ViT with relative positions, scaled layers and mean pooling."""

from typing import Any

from headway import spec
from headway.errors import ConfigError
from headway.families import vit
from headway.layouts import Reshaped
from headway.names import Names, Stored, each
from headway.registry import Family, register


class BeitConfig(vit.PatchConfig):
    model_type = "beit"
    intermediate_size: int = 3072
    vocab_size: int = 8192
    use_mask_token: bool = False
    use_absolute_position_embeddings: bool = False
    use_relative_position_bias: bool = False
    use_shared_relative_position_bias: bool = False
    layer_scale_init_value: float = 0.1
    drop_path_rate: float = 0.1
    use_mean_pooling: bool = True


def architecture(c: Any) -> spec.VisionEncoder:
    own, shared = c.use_relative_position_bias, c.use_shared_relative_position_bias
    if own and shared:
        raise ConfigError("BEiT has relative positions for each layer or shared ones; set one of the two to False.")
    norm, scale = spec.LayerNorm(c.layer_norm_eps), c.layer_scale_init_value
    mlp = spec.Mlp(c.intermediate_size, c.hidden_act)
    patches = vit.patches(c, positions=c.use_absolute_position_embeddings, mask=c.use_mask_token, any_size=True)
    bias = spec.GridBias(c.num_attention_heads, patches.grid)

    def layer(number: int) -> spec.Layer:
        skip = c.drop_path_rate * number / max(c.num_hidden_layers - 1, 1)
        residual = spec.ScaledPreNorm(norm, scale, skip) if scale > 0 else spec.PreNorm(norm)
        position = spec.LayerBias(bias, number) if own else bias if shared else None
        return vit.layer(c, mlp, residual, key_bias=False, position=position)

    stack = spec.Stack(c.hidden_size, patches, tuple(map(layer, range(c.num_hidden_layers))))
    if c.use_mean_pooling:
        return spec.VisionEncoder(stack, None, spec.Pooler(c.hidden_size, None, spec.Mean(1), norm))
    return spec.VisionEncoder(stack, norm, spec.Pooler(c.hidden_size, None))


def heads(c: Any) -> dict[str, spec.Recipe]:
    return {"image-classification": spec.Predict(spec.Pooled())}


def names(c: Any) -> Names:
    scales = {"attn_scale.weight": "lambda_1", "mlp_scale.weight": "lambda_2"}
    own, shared = (f"{path}.relative_position_bias" for path in ("encoder.layer.{i}.attention.attention", "encoder"))
    table = shared if c.use_shared_relative_position_bias else own
    rows = {
        **each("embed", "embeddings", {**vit.EMBED, "mask_token": Stored("mask_token", Reshaped(2))}),
        **each("layers.{i}", "encoder.layer.{i}", vit.LAYER | scales),
        "positions.{i}.table.weight": f"{table}.relative_position_bias_table",
        "final_norm": "layernorm",
        "pooler.norm": "pooler.layernorm",
    }
    ignore = [f"{path}.relative_position_index" for path in (own, shared)]
    ignore += [] if c.use_mask_token else ["embeddings.mask_token"]
    return Names("beit", rows, ignore=tuple(ignore))


register(Family(BeitConfig, "Beit", architecture, names, heads))
