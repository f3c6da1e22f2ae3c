"""RoBERTa (Liu et al. 2019, arXiv:1907.11692): BERT whose positions start after the padding id, and other heads."""

from typing import Any

from headway.config import PreTrainedConfig
from headway.families import bert
from headway.names import Names, each
from headway.registry import Family, register
from headway.spec import Dense, Encoder, FirstToken, LayerNorm, Learned, Pooler, Predict, Recipe, TokenTypes, Vocabulary


class RobertaConfig(bert.BertConfig):
    model_type = "roberta"

    vocab_size: int = 50265
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 2


def architecture(c: RobertaConfig) -> Encoder:
    positions = Learned(c.max_position_embeddings, offset=(c.pad_token_id or 0) + 1)
    return Encoder(bert.stack(c, positions, TokenTypes(c.type_vocab_size)), Pooler(c.hidden_size))


def heads(c: Any) -> dict[str, Recipe]:
    dropout = c.hidden_dropout_prob if c.classifier_dropout is None else c.classifier_dropout
    tie = "always" if c.tie_word_embeddings else "never"
    return {
        "sequence-classification": Predict(FirstToken(), Dense("tanh"), dropout=dropout),
        "masked-lm": Vocabulary(dense=Dense("gelu", norm=LayerNorm(c.layer_norm_eps)), bias=True, tie=tie),
    }


def names(c: PreTrainedConfig) -> Names:
    bias, also, unread = bert.lm_bias(c, "lm_head")
    lm = {
        "lm.hidden.dense": "lm_head.dense",
        "lm.hidden.norm": "lm_head.layer_norm",
        "lm.decoder.weight": "lm_head.decoder.weight",
        "lm.decoder.bias": bias,
    }
    return Names(
        "roberta",
        {**bert.EMBED, **each("layers.{i}", "encoder.layer.{i}", bert.LAYER), "pooler.dense": "pooler.dense"},
        heads={"masked-lm": lm},
        also=also,
        ignore=("embeddings.position_ids", "embeddings.token_type_ids", *unread),
    )


register(Family(RobertaConfig, "Roberta", architecture, names, heads))
