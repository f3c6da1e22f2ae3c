"""Nomic BERT (Nussbaum et al. 2024, arXiv:2402.01613): BERT with rotary positions and gated MLPs, without biases."""

from typing import Any, ClassVar

from headway import spec
from headway.config import EncoderConfig
from headway.families import bert
from headway.layouts import FusedRows
from headway.names import Names, Stored, each, language_model
from headway.registry import Family, register
from headway.rope import rotary


class NomicBertConfig(EncoderConfig):
    model_type = "nomic_bert"
    # What the files of the hub call these fields.
    attribute_map: ClassVar[dict[str, str]] = {
        "n_embd": "hidden_size",
        "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
        "n_inner": "intermediate_size",
        "n_positions": "max_position_embeddings",
        "layer_norm_epsilon": "layer_norm_eps",
        "resid_pdrop": "hidden_dropout_prob",
        "attn_pdrop": "attention_probs_dropout_prob",
    }

    vocab_size: int = 30528
    hidden_act: str = "silu"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    max_position_embeddings: int = 2048
    type_vocab_size: int = 2
    classifier_dropout: float | None = None
    rope_parameters: dict[str, Any] | None = None
    head_dim: int | None = None


def head_width(c: Any) -> int:
    return c.head_dim or spec.head_width(c.hidden_size, c.num_attention_heads)


def architecture(c: Any) -> spec.Encoder:
    heads, width, dropout = c.num_attention_heads, head_width(c), c.attention_probs_dropout_prob
    attention = spec.Attention(heads, width, bias=False, position=rotary(c, width, 1000.0), dropout=dropout)
    norm, mlp = spec.PostNorm(spec.LayerNorm(c.layer_norm_eps)), spec.GatedMlp(c.intermediate_size, c.hidden_act)
    layers = spec.repeat(spec.Layer(attention, mlp, norm, dropout=c.hidden_dropout_prob), c.num_hidden_layers)
    return spec.Encoder(spec.Stack(c.hidden_size, bert.embed(c, None, c.type_vocab_size), layers))


def names(c: Any) -> Names:
    layer = {
        ("attn.q", "attn.k", "attn.v"): Stored("attn.Wqkv", FusedRows((c.num_attention_heads * head_width(c),) * 3)),
        "attn.o": "attn.out_proj",
        "mlp.{up,gate,down}": "mlp.{fc11,fc12,fc2}",
        "{attn,mlp}_norm": "{norm1,norm2}",
    }
    # As transformers' modules are called.
    other = {
        "attn.{q,k,v,o}": "self_attn.{q,k,v,o}_proj",
        "mlp.{up,gate,down}": "mlp.{up,gate,down}_proj",
        "{attn,mlp}_norm": "post_{attention,mlp}_layernorm",
    }
    embed = {"embed.{tokens,types}": "embeddings.{word,token_type}_embeddings", "embed.norm": "emb_ln"}
    lm = language_model("cls.predictions", c.tie_word_embeddings, "transform.{dense,layer_norm}")
    return Names(
        "nomic_bert",
        {**embed, **each("layers.{i}", "encoder.layers.{i}", layer)},
        # Only a head for labels has a pooler.
        {"masked-lm": lm, "sequence-classification": {"hidden.dense": "nomic_bert.pooler.dense", "out": "classifier"}},
        read={"embed.norm": "embeddings.LayerNorm", **each("layers.{i}", "layers.{i}", other)},
        ignore=bert.IGNORED,
    )


register(Family(NomicBertConfig, "NomicBert", architecture, names))
