"""DeBERTa v2 and v3 (He et al. 2021, arXiv:2006.03654 and arXiv:2111.09543): disentangled attention."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.families import bert, deberta
from headway.names import Names, each
from headway.registry import Family, register


class DebertaV2Config(deberta.DebertaConfig):
    model_type = "deberta-v2"
    vocab_size: int = 128100
    hidden_size: int = 1536
    num_hidden_layers: int = 24
    num_attention_heads: int = 24
    intermediate_size: int = 6144
    position_buckets: int = -1
    share_att_key: bool = False
    norm_rel_ebd: str = "none"
    conv_kernel_size: int = 0
    conv_groups: int = 1
    conv_act: str = "tanh"


def architecture(c: Any) -> spec.Encoder:
    norm, reach = spec.LayerNorm(c.layer_norm_eps), deberta.reach(c)
    span, until = (c.position_buckets, reach) if c.position_buckets > 0 else (reach, None)
    table = spec.RelativeTable(c.hidden_size, span, until, norm if "layer_norm" in c.norm_rel_ebd else None)
    stack = deberta.stack(c, table, separate=not c.share_att_key, key_bias=True)
    first, *others = stack.layers
    if c.conv_kernel_size > 0 and isinstance(first, spec.Layer):
        convolved = spec.ConvolvedLayer(first, c.conv_kernel_size, c.conv_groups, c.conv_act, norm)
        stack = replace(stack, layers=(convolved, *others))
    return spec.Encoder(stack)


def names(c: Any) -> Names:
    layer = {
        **bert.LAYER,
        "attn.{q,k,v}": "attention.self.{query,key,value}_proj",
        "attn.position_{k,q}": "attention.self.pos_{key,query}_proj",
    }
    rows = {
        **each("layers.{i}", "layer.{i}", layer),
        **each("layers.0.layer", "layer.0", layer),
        "layers.0.{conv,norm}": "conv.{conv,LayerNorm}",
        "positions.0.norm": "LayerNorm",
    }
    return deberta.names(c, rows)


register(Family(DebertaV2Config, "DebertaV2", architecture, names, deberta.heads))
