"""RoBERTa (Liu et al. 2019, arXiv:1907.11692): BERT whose positions start after the padding id, and other heads."""

from typing import Any

from headway import spec
from headway.families import bert
from headway.names import Names, language_model
from headway.registry import Family, register


class RobertaConfig(bert.BertConfig):
    model_type = "roberta"
    vocab_size: int = 50265
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 2


def offset(c: Any) -> int:
    return (c.pad_token_id or 0) + 1


def architecture(c: Any) -> spec.Encoder:
    return spec.Encoder(bert.stack(c, offset(c)), spec.Pooler())


def heads(c: Any) -> dict[str, spec.Recipe]:
    dropout = getattr(c, "classifier_dropout", None)
    dropout = c.hidden_dropout_prob if dropout is None else dropout
    return {
        "sequence-classification": spec.Predict(spec.FirstToken(), spec.Dense("tanh"), dropout=dropout),
        "masked-lm": spec.Vocabulary(dense=spec.Dense("gelu", norm=spec.LayerNorm(c.layer_norm_eps)), bias=True),
    }


def lm_names(c: Any) -> dict[str, Any]:
    return language_model("lm_head", c.tie_word_embeddings, "{dense,layer_norm}")


def names(c: Any) -> Names:
    return Names("roberta", bert.BACKBONE, {"masked-lm": lm_names(c)}, ignore=bert.IGNORED)


register(Family(RobertaConfig, "Roberta", architecture, names, heads))
