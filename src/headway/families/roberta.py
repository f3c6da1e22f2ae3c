"""RoBERTa (Liu et al. 2019, arXiv:1907.11692): BERT whose positions start after the padding id, and other heads."""

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.families import bert
from headway.names import Names, each
from headway.registry import Family, register


class RobertaConfig(bert.BertConfig):
    model_type = "roberta"
    vocab_size: int = 50265
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 2


def architecture(c: Any) -> spec.Encoder:
    positions = spec.Learned(c.max_position_embeddings, offset=(c.pad_token_id or 0) + 1)
    return spec.Encoder(bert.stack(c, positions), spec.Pooler(c.hidden_size))


def heads(c: Any) -> dict[str, spec.Recipe]:
    dropout = c.hidden_dropout_prob if c.classifier_dropout is None else c.classifier_dropout
    return {
        "sequence-classification": spec.Predict(spec.FirstToken(), spec.Dense("tanh"), dropout=dropout),
        "masked-lm": spec.Vocabulary(dense=spec.Dense("gelu", norm=spec.LayerNorm(c.layer_norm_eps)), bias=True),
    }


def names(c: PreTrainedConfig) -> Names:
    lm = {
        "lm.hidden.dense": "lm_head.dense",
        "lm.hidden.norm": "lm_head.layer_norm",
        **bert.lm_output(c, "lm_head"),
    }
    return Names(
        "roberta",
        {**bert.EMBED, **each("layers.{i}", "encoder.layer.{i}", bert.LAYER), "pooler.dense": "pooler.dense"},
        heads={"masked-lm": lm},
        ignore=("embeddings.position_ids", "embeddings.token_type_ids"),
    )


register(Family(RobertaConfig, "Roberta", architecture, names, heads))
