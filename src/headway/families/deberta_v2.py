"""DeBERTa v2 and v3 (He et al. 2021, arXiv:2006.03654 and arXiv:2111.09543): disentangled attention."""

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.families import bert
from headway.names import Names, each
from headway.registry import Family, register


class DebertaV2Config(PreTrainedConfig):
    model_type = "deberta-v2"
    vocab_size: int = 128100
    hidden_size: int = 1536
    num_hidden_layers: int = 24
    num_attention_heads: int = 24
    intermediate_size: int = 6144
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 0
    layer_norm_eps: float = 1e-7
    relative_attention: bool = False
    max_relative_positions: int = -1
    pad_token_id: int | None = 0
    position_biased_input: bool = True
    pos_att_type: list[str] | str | None = None
    position_buckets: int = -1
    share_att_key: bool = False
    norm_rel_ebd: str = "none"
    conv_kernel_size: int = 0
    conv_groups: int = 1
    conv_act: str = "tanh"
    pooler_dropout: float = 0.0
    pooler_hidden_act: str = "gelu"


def mixer(c: Any) -> spec.Mixer:
    heads, dropout = c.num_attention_heads, c.attention_probs_dropout_prob
    width = spec.head_width(c.hidden_size, heads)
    if not c.relative_attention:
        return spec.Attention(heads, width, dropout=dropout)
    kinds = c.pos_att_type.split("|") if isinstance(c.pos_att_type, str) else c.pos_att_type or []
    reach = c.max_relative_positions if c.max_relative_positions >= 1 else c.max_position_embeddings
    norm = spec.LayerNorm(c.layer_norm_eps) if "layer_norm" in c.norm_rel_ebd else None
    bucketed = c.position_buckets > 0
    table = spec.RelativeTable(
        c.hidden_size, c.position_buckets if bucketed else reach, reach if bucketed else None, norm
    )
    return spec.Disentangled(heads, width, table, "c2p" in kinds, "p2c" in kinds, not c.share_att_key, dropout)


def architecture(c: Any) -> spec.Encoder:
    norm, mlp = spec.LayerNorm(c.layer_norm_eps), spec.Mlp(c.intermediate_size, c.hidden_act)
    layer = spec.Layer(mixer(c), mlp, spec.PostNorm(norm), dropout=c.hidden_dropout_prob)
    layers: tuple[spec.Layer | spec.ConvolvedLayer, ...] = spec.repeat(layer, c.num_hidden_layers)
    if c.conv_kernel_size > 0:
        layers = (spec.ConvolvedLayer(layer, c.conv_kernel_size, c.conv_groups, c.conv_act, norm), *layers[1:])
    positions = spec.Learned(c.max_position_embeddings) if c.position_biased_input else None
    types = spec.TokenTypes(c.type_vocab_size) if c.type_vocab_size else None
    embed = spec.Embed(c.vocab_size, c.hidden_size, positions, types, norm, dropout=c.hidden_dropout_prob)
    return spec.Encoder(spec.Stack(c.hidden_size, embed, layers))


def heads(c: Any) -> dict[str, spec.Recipe]:
    summary = spec.Predict(spec.FirstToken(), spec.Dense(c.pooler_hidden_act), dropout=c.pooler_dropout)
    lm = spec.Vocabulary(dense=spec.Dense(c.hidden_act, norm=spec.LayerNorm(c.layer_norm_eps)), bias=True)
    return {"sequence-classification": summary, "multiple-choice": summary, "masked-lm": lm}


def names(c: Any) -> Names:
    layer = bert.LAYER | {f"attn.{x[0]}": f"attention.self.{x}_proj" for x in ("query", "key", "value")}
    layer |= {"attn.position_k": "attention.self.pos_key_proj", "attn.position_q": "attention.self.pos_query_proj"}
    summary = {"hidden.dense": "pooler.dense", "out": "classifier"}
    lm = {**bert.LM, **bert.lm_output(c, "cls.predictions")}
    rows = {"positions.0.table": "rel_embeddings", "positions.0.norm": "LayerNorm"}
    rows |= {"layers.0.conv": "conv.conv", "layers.0.norm": "conv.LayerNorm"}
    rows |= each("layers.{i}", "layer.{i}", layer) | each("layers.0.layer", "layer.0", layer)
    return Names(
        "deberta",
        {**bert.EMBED, **each("", "encoder", rows)},
        heads={"sequence-classification": summary, "multiple-choice": summary, "masked-lm": lm},
        ignore=("embeddings.position_ids",),
    )


register(Family(DebertaV2Config, "DebertaV2", architecture, names, heads))
