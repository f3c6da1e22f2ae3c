"""ALBERT (Lan et al. 2019, arXiv:1909.11942): BERT with narrow embeddings and layers shared in groups."""

from typing import Any

from headway import spec
from headway.families import bert
from headway.names import Names, each
from headway.registry import Family, register


class AlbertConfig(bert.BertConfig):
    model_type = "albert"
    vocab_size: int = 30000
    embedding_size: int = 128
    hidden_size: int = 4096
    num_hidden_groups: int = 1
    num_attention_heads: int = 64
    intermediate_size: int = 16384
    inner_group_num: int = 1
    hidden_act: str = "gelu_new"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    classifier_dropout_prob: float = 0.1
    bos_token_id: int | None = 2
    eos_token_id: int | list[int] | None = 3


def architecture(c: AlbertConfig) -> spec.Encoder:
    plain = bert.stack(c, width=c.embedding_size)
    inner = c.inner_group_num
    order = tuple(
        step * c.num_hidden_groups // c.num_hidden_layers * inner + i
        for step in range(c.num_hidden_layers)
        for i in range(inner)
    )
    layers = plain.layers[:1] * (c.num_hidden_groups * inner)
    return spec.Encoder(spec.Stack(c.hidden_size, plain.embed, layers, order=order), spec.Pooler(c.hidden_size))


def heads(c: Any) -> dict[str, spec.Recipe]:
    dense = spec.Dense(c.hidden_act, c.embedding_size, spec.LayerNorm(c.layer_norm_eps))
    lm = spec.Vocabulary(dense=dense, bias=True)
    pair = spec.SentencePairPretraining(lm, spec.Predict(spec.Pooled()), "sentence_order_label", "sop_logits")
    return {"masked-lm": lm, "pretraining": pair}


def names(c: AlbertConfig) -> Names:
    layer = {
        **{f"attn.{x[0]}": f"attention.{x}" for x in ("query", "key", "value")},
        "attn.o": "attention.dense",
        "attn_norm": "attention.LayerNorm",
        "mlp.up": "ffn",
        "mlp.down": "ffn_output",
        "mlp_norm": "full_layer_layer_norm",
    }
    backbone = {**bert.EMBED, "embed.project": "encoder.embedding_hidden_mapping_in", "pooler.dense": "pooler"}
    for i in range(c.num_hidden_groups * c.inner_group_num):
        group, inner = divmod(i, c.inner_group_num)
        backbone |= each(f"layers.{i}", f"encoder.albert_layer_groups.{group}.albert_layers.{inner}", layer)
    lm = {
        "lm.hidden.dense": "predictions.dense",
        "lm.hidden.norm": "predictions.LayerNorm",
        **bert.lm_output(c, "predictions"),
    }
    return Names(
        "albert",
        backbone,
        heads={"masked-lm": lm, "pretraining": {**lm, "pair": "sop_classifier.classifier"}},
        ignore=("embeddings.position_ids",),
    )


register(Family(AlbertConfig, "Albert", architecture, names, heads))
