"""DeBERTa (He et al. 2020, arXiv:2006.03654): disentangled attention to content and relative position."""

from typing import Any

from headway import spec
from headway.config import EncoderConfig
from headway.families import bert
from headway.layouts import FusedGroups
from headway.names import Names, Stored, each, language_model
from headway.registry import Family, register


class DebertaConfig(EncoderConfig):
    model_type = "deberta"
    vocab_size: int = 50265
    type_vocab_size: int = 0
    layer_norm_eps: float = 1e-7
    relative_attention: bool = False
    max_relative_positions: int = -1
    position_biased_input: bool = True
    pos_att_type: list[str] | str | None = None
    pooler_dropout: float = 0.0
    pooler_hidden_act: str = "gelu"
    legacy: bool = True


def reach(c: Any) -> int:
    return c.max_relative_positions if c.max_relative_positions >= 1 else c.max_position_embeddings


def stack(c: Any, table: spec.RelativeTable, separate: bool = True, key_bias: bool = False) -> spec.Stack:
    heads, dropout = c.num_attention_heads, c.attention_probs_dropout_prob
    mixer: spec.Mixer = spec.Attention(heads, key_bias=key_bias, dropout=dropout)
    if c.relative_attention:
        kinds = c.pos_att_type.split("|") if isinstance(c.pos_att_type, str) else c.pos_att_type or []
        mixer = spec.Disentangled(heads, table, "c2p" in kinds, "p2c" in kinds, separate, key_bias, dropout)
    positions = spec.Learned(c.max_position_embeddings) if c.position_biased_input else None
    layers = spec.repeat(bert.layer(c, mixer), c.num_hidden_layers)
    return spec.Stack(c.hidden_size, bert.embed(c, positions, c.type_vocab_size), layers)


def architecture(c: Any) -> spec.Encoder:
    return spec.Encoder(stack(c, spec.RelativeTable(c.hidden_size, reach(c))))


def heads(c: Any) -> dict[str, spec.Recipe]:
    summary = spec.Predict(spec.FirstToken(), spec.Dense(c.pooler_hidden_act), dropout=c.pooler_dropout)
    dense = spec.Dense(c.hidden_act, norm=spec.LayerNorm(c.layer_norm_eps))
    # In its later form, the language model has no output layer but the token table.
    lm = spec.Vocabulary(dense=dense, bias=True, tie=None if c.legacy else "always")
    return {"sequence-classification": summary, "masked-lm": lm}


def names(c: Any, encoder: dict[Any, Any]) -> Names:
    lm = language_model("lm_predictions.lm_head", tied=True)
    if c.legacy:
        lm = language_model("cls.predictions", c.tie_word_embeddings, "transform.{dense,LayerNorm}")
    summary = {"{hidden.dense,out}": "{pooler.dense,classifier}"}
    backbone = {**bert.EMBED, **each("", "encoder", {"positions.0.table": "rel_embeddings", **encoder})}
    ignore = (*bert.IGNORED, "mask_predictions.*")
    return Names("deberta", backbone, {"sequence-classification": summary, "masked-lm": lm}, ignore=ignore)


def fused_names(c: Any) -> Names:
    fused = FusedGroups(spec.head_width(c.hidden_size, c.num_attention_heads))
    layer: dict[Any, Any] = {
        **bert.MLP,
        ("attn.q.weight", "attn.k.weight", "attn.v.weight"): Stored("attention.self.in_proj.weight", fused),
        "attn.{q,v}.bias": "attention.self.{q,v}_bias",
        "attn.position_{k,q}": "attention.self.{pos,pos_q}_proj",
        "{attn.o,attn_norm}": "attention.output.{dense,LayerNorm}",
    }
    return names(c, each("layers.{i}", "layer.{i}", layer))


register(Family(DebertaConfig, "Deberta", architecture, fused_names, heads))
