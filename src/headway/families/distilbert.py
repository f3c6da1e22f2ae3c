"""DistilBERT (Sanh et al. 2019, arXiv:1910.01108): BERT with half the layers, no segments and no pooler."""

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.names import Names, each
from headway.registry import Family, register


class DistilBertConfig(PreTrainedConfig):
    model_type = "distilbert"
    vocab_size: int = 30522
    max_position_embeddings: int = 512
    sinusoidal_pos_embds: bool = False
    n_layers: int = 6
    n_heads: int = 12
    dim: int = 768
    hidden_dim: int = 3072
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation: str = "gelu"
    qa_dropout: float = 0.1
    seq_classif_dropout: float = 0.2
    pad_token_id: int | None = 0


NORM = spec.LayerNorm(1e-12)


def architecture(c: DistilBertConfig) -> spec.Encoder:
    attention = spec.Attention(c.n_heads, spec.head_width(c.dim, c.n_heads), dropout=c.attention_dropout)
    layer = spec.Layer(attention, spec.Mlp(c.hidden_dim, c.activation), spec.PostNorm(NORM), dropout=c.dropout)
    # A sinusoidal table is only how the positions were first set: files hold it as weights.
    embed = spec.Embed(c.vocab_size, c.dim, spec.Learned(c.max_position_embeddings), norm=NORM, dropout=c.dropout)
    return spec.Encoder(spec.Stack(c.dim, embed, spec.repeat(layer, c.n_layers)))


def heads(c: Any) -> dict[str, spec.Recipe]:
    summary = spec.Predict(spec.FirstToken(), spec.Dense("relu"), dropout=c.seq_classif_dropout)
    return {
        "sequence-classification": summary,
        "multiple-choice": summary,
        "masked-lm": spec.Vocabulary(dense=spec.Dense(c.activation, norm=NORM), bias=True),
    }


def names(c: PreTrainedConfig) -> Names:
    summary = {"hidden.dense": "pre_classifier", "out": "classifier"}
    layer = {
        **{f"attn.{x}": f"attention.{x}_lin" for x in "qkv"},
        "attn.o": "attention.out_lin",
        "attn_norm": "sa_layer_norm",
        "mlp.up": "ffn.lin1",
        "mlp.down": "ffn.lin2",
        "mlp_norm": "output_layer_norm",
    }
    embed = {"tokens": "word_embeddings", "positions": "position_embeddings", "norm": "LayerNorm"}
    lm = {"hidden.dense": "vocab_transform", "hidden.norm": "vocab_layer_norm", "decoder": "vocab_projector"}
    return Names(
        "distilbert",
        {**each("embed", "embeddings", embed), **each("layers.{i}", "transformer.layer.{i}", layer)},
        heads={
            "sequence-classification": summary,
            "multiple-choice": summary,
            "masked-lm": each("lm", "", lm),
        },
    )


register(Family(DistilBertConfig, "DistilBert", architecture, names, heads))
