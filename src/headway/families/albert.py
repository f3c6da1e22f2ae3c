"""ALBERT (Lan et al. 2019, arXiv:1909.11942): BERT with narrow embeddings and layers shared in groups."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.families import bert
from headway.names import Names, each, language_model
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


def architecture(c: Any) -> spec.Encoder:
    plain, inner = bert.stack(c, width=c.embedding_size), c.inner_group_num
    groups = [step * c.num_hidden_groups // c.num_hidden_layers for step in range(c.num_hidden_layers)]
    order = tuple(group * inner + i for group in groups for i in range(inner))
    layers = plain.layers[:1] * (c.num_hidden_groups * inner)
    return spec.Encoder(replace(plain, layers=layers, order=order), spec.Pooler())


def heads(c: Any) -> dict[str, spec.Recipe]:
    return {"pretraining": spec.SentencePairPretraining(label="sentence_order_label", logits="sop_logits")}


LAYER = {
    "attn.{q,k,v,o}": "attention.{query,key,value,dense}",
    "attn_norm": "attention.LayerNorm",
    "mlp.{up,down}": "{ffn,ffn_output}",
    "mlp_norm": "full_layer_layer_norm",
}


def names(c: Any) -> Names:
    backbone = {**bert.EMBED, "embed.project": "encoder.embedding_hidden_mapping_in", "pooler.dense": "pooler"}
    for i in range(c.num_hidden_groups * c.inner_group_num):
        group, inner = divmod(i, c.inner_group_num)
        backbone |= each(f"layers.{i}", f"encoder.albert_layer_groups.{group}.albert_layers.{inner}", LAYER)
    lm = language_model("predictions", c.tie_word_embeddings)
    heads = {"masked-lm": lm, "pretraining": {**lm, "pair": "sop_classifier.classifier"}}
    return Names("albert", backbone, heads, ignore=bert.IGNORED)


register(Family(AlbertConfig, "Albert", architecture, names, heads))
