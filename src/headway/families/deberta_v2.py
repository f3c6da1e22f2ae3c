"""DeBERTa v2 and v3 (He et al. 2021, arXiv:2006.03654 and arXiv:2111.09543): disentangled attention."""

from typing import Any

from headway.config import PreTrainedConfig
from headway.families import bert
from headway.names import Names, each
from headway.registry import Family, register
from headway.spec import (
    Attention,
    ConvolvedLayer,
    Dense,
    Disentangled,
    Embed,
    Encoder,
    FirstToken,
    Layer,
    LayerNorm,
    Learned,
    Mixer,
    Mlp,
    PostNorm,
    Predict,
    Recipe,
    RelativeTable,
    Stack,
    TokenTypes,
    Vocabulary,
    repeat,
)


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
    initializer_range: float = 0.02
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


def mixer(c: Any) -> Mixer:
    heads, width, dropout = (
        c.num_attention_heads,
        c.hidden_size // c.num_attention_heads,
        c.attention_probs_dropout_prob,
    )
    if not c.relative_attention:
        return Attention(heads, width, dropout=dropout)
    kinds = c.pos_att_type.split("|") if isinstance(c.pos_att_type, str) else c.pos_att_type or []
    reach = c.max_relative_positions if c.max_relative_positions >= 1 else c.max_position_embeddings
    norm = LayerNorm(c.layer_norm_eps) if "layer_norm" in c.norm_rel_ebd else None
    bucketed = c.position_buckets > 0
    table = RelativeTable(c.hidden_size, c.position_buckets if bucketed else reach, reach if bucketed else None, norm)
    return Disentangled(heads, width, table, "c2p" in kinds, "p2c" in kinds, not c.share_att_key, dropout)


def architecture(c: Any) -> Encoder:
    norm, mlp = LayerNorm(c.layer_norm_eps), Mlp(c.intermediate_size, c.hidden_act)
    layer = Layer(mixer(c), mlp, PostNorm(norm), dropout=c.hidden_dropout_prob)
    layers: tuple[Layer | ConvolvedLayer, ...] = repeat(layer, c.num_hidden_layers)
    if c.conv_kernel_size > 0:
        layers = (ConvolvedLayer(layer, c.conv_kernel_size, c.conv_groups, c.conv_act, norm), *layers[1:])
    embed = Embed(
        c.vocab_size,
        c.hidden_size,
        Learned(c.max_position_embeddings) if c.position_biased_input else None,
        TokenTypes(c.type_vocab_size) if c.type_vocab_size else None,
        norm,
        dropout=c.hidden_dropout_prob,
    )
    return Encoder(Stack(c.hidden_size, embed, layers))


def heads(c: Any) -> dict[str, Recipe]:
    summary = Predict(FirstToken(), Dense(c.pooler_hidden_act), dropout=c.pooler_dropout)
    tie = "always" if c.tie_word_embeddings else "never"
    lm = Vocabulary(dense=Dense(c.hidden_act, norm=LayerNorm(c.layer_norm_eps)), bias=True, tie=tie)
    return {"sequence-classification": summary, "multiple-choice": summary, "masked-lm": lm}


def names(c: Any) -> Names:
    layer = bert.LAYER | {f"attn.{x[0]}": f"attention.self.{x}_proj" for x in ("query", "key", "value")}
    layer |= {"attn.position_k": "attention.self.pos_key_proj", "attn.position_q": "attention.self.pos_query_proj"}
    summary = {"hidden.dense": "pooler.dense", "out": "classifier"}
    bias, also, unread = bert.lm_bias(c, "cls.predictions")
    lm = {**bert.LM, "lm.decoder.bias": bias}
    return Names(
        "deberta",
        {
            **bert.EMBED,
            "positions.0.table": "encoder.rel_embeddings",
            "positions.0.norm": "encoder.LayerNorm",
            **each("layers.{i}", "encoder.layer.{i}", layer),
            **each("layers.0.layer", "encoder.layer.0", layer),
            "layers.0.conv": "encoder.conv.conv",
            "layers.0.norm": "encoder.conv.LayerNorm",
        },
        heads={"sequence-classification": summary, "multiple-choice": summary, "masked-lm": lm},
        also=also,
        ignore=("embeddings.position_ids", *unread),
    )


register(Family(DebertaV2Config, "DebertaV2", architecture, names, heads))
