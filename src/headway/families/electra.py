"""ELECTRA (Clark et al. 2020, arXiv:2003.10555): BERT with narrow embeddings, trained to tell replaced tokens."""

from typing import Any

from headway import spec
from headway.families import bert
from headway.names import Names
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
    def summary(activation: str, dropout: float) -> spec.Predict:
        return spec.Predict(spec.FirstToken(), spec.Dense(activation), dropout=dropout)

    dropout = c.hidden_dropout_prob if c.classifier_dropout is None else c.classifier_dropout
    return {
        "sequence-classification": summary("gelu", dropout),
        "multiple-choice": summary(c.summary_activation, c.summary_last_dropout),
        # The generator's norm keeps LayerNorm's usual epsilon, whatever the config says.
        "masked-lm": spec.Vocabulary(dense=spec.Dense("gelu", c.embedding_size, spec.LayerNorm(1e-12)), bias=True),
        "pretraining": spec.ReplacedTokenDetection(spec.Dense(c.hidden_act)),
    }


def names(c: Any) -> Names:
    generator, discriminator = "generator_predictions", "discriminator_predictions"
    heads = {
        "sequence-classification": {"hidden.dense": "classifier.dense", "out": "classifier.out_proj"},
        "multiple-choice": {"hidden.dense": "sequence_summary.summary", "out": "classifier"},
        "masked-lm": {"lm.hidden.{dense,norm}": f"{generator}.{{dense,LayerNorm}}", "lm.decoder": "generator_lm_head"},
        "pretraining": {"{hidden.dense,out}": f"{discriminator}.{{dense,dense_prediction}}"},
    }
    return Names("electra", {**bert.BACKBONE, "embed.project": "embeddings_project"}, heads, ignore=bert.IGNORED)


register(Family(ElectraConfig, "Electra", architecture, names, heads))
