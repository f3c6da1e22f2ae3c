"""ELECTRA (Clark et al. 2020, arXiv:2003.10555): BERT with narrow embeddings, trained to tell replaced tokens."""

from typing import Any

from headway import spec
from headway.families import bert
from headway.names import Names, each
from headway.registry import Family, register


class ElectraConfig(bert.BertConfig):
    model_type = "electra"
    embedding_size: int = 128
    hidden_size: int = 256
    num_attention_heads: int = 4
    intermediate_size: int = 1024
    summary_type: str = "first"
    summary_use_proj: bool = True
    summary_activation: str = "gelu"
    summary_last_dropout: float = 0.1


def architecture(c: Any) -> spec.Encoder:
    return spec.Encoder(bert.stack(c, width=c.embedding_size))


def heads(c: Any) -> dict[str, spec.Recipe]:
    dropout = c.hidden_dropout_prob if c.classifier_dropout is None else c.classifier_dropout
    # The generator's norm keeps LayerNorm's usual epsilon, whatever the config says.
    dense = spec.Dense("gelu", c.embedding_size, spec.LayerNorm(1e-12))
    return {
        "sequence-classification": spec.Predict(spec.FirstToken(), spec.Dense("gelu"), dropout=dropout),
        "multiple-choice": spec.Predict(
            spec.FirstToken(), spec.Dense(c.summary_activation), dropout=c.summary_last_dropout
        ),
        "masked-lm": spec.Vocabulary(dense=dense, bias=True),
        "pretraining": spec.ReplacedTokenDetection(spec.Dense(c.hidden_act)),
    }


def names(c: ElectraConfig) -> Names:
    lm = {
        "lm.hidden.dense": "generator_predictions.dense",
        "lm.hidden.norm": "generator_predictions.LayerNorm",
        "lm.decoder": "generator_lm_head",
    }
    pretraining = {
        "hidden.dense": "discriminator_predictions.dense",
        "out": "discriminator_predictions.dense_prediction",
    }
    return Names(
        "electra",
        {
            **bert.EMBED,
            **each("layers.{i}", "encoder.layer.{i}", bert.LAYER),
            "embed.project": "embeddings_project",
        },
        heads={
            "masked-lm": lm,
            "pretraining": pretraining,
            "multiple-choice": {"hidden.dense": "sequence_summary.summary", "out": "classifier"},
        },
        ignore=("embeddings.position_ids",),
    )


register(Family(ElectraConfig, "Electra", architecture, names, heads))
