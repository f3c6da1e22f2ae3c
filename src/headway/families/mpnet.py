"""MPNet (Song et al. 2020, arXiv:2004.09297): RoBERTa without segments, with T5's bias on top of its positions."""

from typing import Any

from headway import spec
from headway.config import EncoderConfig
from headway.families import bert, roberta
from headway.names import Names, each
from headway.registry import Family, register


class MPNetConfig(EncoderConfig):
    model_type = "mpnet"
    vocab_size: int = 30527
    relative_attention_num_buckets: int = 32
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 2


def architecture(c: Any) -> spec.Encoder:
    heads = c.num_attention_heads
    bias = spec.RelativeBias(heads, c.relative_attention_num_buckets, max_distance=128, bidirectional=True)
    attention = spec.Attention(heads, position=bias, dropout=c.attention_probs_dropout_prob)
    embed = bert.embed(c, spec.Learned(c.max_position_embeddings, roberta.offset(c)))
    layers = spec.repeat(bert.layer(c, attention), c.num_hidden_layers)
    return spec.Encoder(spec.Stack(c.hidden_size, embed, layers), spec.Pooler())


def names(c: Any) -> Names:
    layer = {"attn.{q,k,v,o}": "attention.attn.{q,k,v,o}", "attn_norm": "attention.LayerNorm", **bert.MLP}
    backbone = {
        **bert.EMBED,
        **each("layers.{i}", "encoder.layer.{i}", layer),
        "positions.0.table": "encoder.relative_attention_bias",
        "pooler.dense": "pooler.dense",
    }
    return Names("mpnet", backbone, {"masked-lm": roberta.lm_names(c)}, ignore=bert.IGNORED)


register(Family(MPNetConfig, "MPNet", architecture, names, roberta.heads))
