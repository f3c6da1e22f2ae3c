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


def architecture(c: Any) -> spec.Encoder:
    norm, attention = spec.LayerNorm(1e-12), spec.Attention(c.n_heads, dropout=c.attention_dropout)
    layer = spec.Layer(attention, spec.Mlp(c.hidden_dim, c.activation), spec.PostNorm(norm), dropout=c.dropout)
    # A sinusoidal table is only how the positions were first set: files hold it as weights.
    embed = spec.Embed(c.vocab_size, c.dim, spec.Learned(c.max_position_embeddings), norm=norm, dropout=c.dropout)
    return spec.Encoder(spec.Stack(c.dim, embed, spec.repeat(layer, c.n_layers)))


def heads(c: Any) -> dict[str, spec.Recipe]:
    summary = spec.Predict(spec.FirstToken(), spec.Dense("relu"), dropout=c.seq_classif_dropout)
    return {"sequence-classification": summary}


EMBED = {"{tokens,positions,norm}": "{word_embeddings,position_embeddings,LayerNorm}"}
LAYER = {
    "attn.{q,k,v,o}": "attention.{q,k,v,out}_lin",
    "mlp.{up,down}": "ffn.{lin1,lin2}",
    "{attn,mlp}_norm": "{sa,output}_layer_norm",
}
HEADS = {
    "sequence-classification": {"{hidden.dense,out}": "{pre_classifier,classifier}"},
    "masked-lm": {"lm.{hidden.dense,hidden.norm,decoder}": "vocab_{transform,layer_norm,projector}"},
}


def names(c: Any) -> Names:
    backbone = {**each("embed", "embeddings", EMBED), **each("layers.{i}", "transformer.layer.{i}", LAYER)}
    return Names("distilbert", backbone, HEADS)


register(Family(DistilBertConfig, "DistilBert", architecture, names, heads))
