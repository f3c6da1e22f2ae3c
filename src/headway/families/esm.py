"""ESM (Rives et al. 2021, doi:10.1073/pnas.2016239118; Lin et al. 2023, doi:10.1126/science.ade2574): proteins."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.config import EncoderConfig
from headway.families import bert, roberta
from headway.names import Names, Stored, each, language_model
from headway.registry import Family, register


class EsmConfig(EncoderConfig):
    model_type = "esm"
    vocab_size: int = 33
    mask_token_id: int | None = 32
    pad_token_id: int | None = 1
    max_position_embeddings: int = 1026
    position_embedding_type: str = "absolute"
    emb_layer_norm_before: bool | None = None
    token_dropout: bool = False
    rope_theta: float = 10000.0
    eos_token_id: int | list[int] | None = 2


def architecture(c: Any) -> spec.Encoder:
    norm, heads = spec.LayerNorm(c.layer_norm_eps), c.num_attention_heads
    turn, learned = None, None
    if c.position_embedding_type == "rotary":
        turn = spec.StoredRotary(spec.head_width(c.hidden_size, heads), c.rope_theta)
    else:
        learned = spec.Learned(c.max_position_embeddings, roberta.offset(c))
    attention = spec.Attention(heads, position=turn, dropout=c.attention_probs_dropout_prob)
    layer = replace(bert.layer(c, attention), residual=spec.PreNorm(norm))
    before = norm if c.emb_layer_norm_before else None
    scale = spec.TokenDropout(c.mask_token_id) if c.token_dropout else 1.0
    embed = spec.Embed(c.vocab_size, c.hidden_size, learned, None, before, scale)
    return spec.Encoder(spec.Stack(c.hidden_size, embed, spec.repeat(layer, c.num_hidden_layers), norm), spec.Pooler())


def heads(c: Any) -> dict[str, spec.Recipe]:
    return {"sequence-classification": roberta.heads(c)["sequence-classification"]}


def names(c: Any) -> Names:
    layer = {
        "attn.{q,k,v}": "attention.self.{query,key,value}",
        "attn.o": "attention.output.dense",
        "mlp.{up,down}": "{intermediate,output}.dense",
        "{attn_norm,mlp_norm}": "{attention.LayerNorm,LayerNorm}",
    }
    embed = {"embed.{tokens,positions}": "embeddings.{word,position}_embeddings", "embed.norm": "embeddings.layer_norm"}
    encoder = {**each("layers.{i}", "layer.{i}", layer), "norm": "emb_layer_norm_after"}
    # Frequencies once stood in every layer; transformers 5 saves one of them with a star for its number.
    older = [f"encoder.layer.{x}.attention.self.rotary_embeddings.inv_freq" for x in ("0", "*", "{i}")]
    # Files with rotary positions hold a table that nothing reads, too.
    unread = ("embeddings.position_embeddings.weight",) if c.position_embedding_type == "rotary" else ()
    return Names(
        "esm",
        {
            **embed,
            **each("", "encoder", encoder),
            "positions.0.frequencies": Stored("rotary_embeddings.inv_freq", also=tuple(older[:2])),
            "pooler.dense": "pooler.dense",
        },
        {"masked-lm": language_model("lm_head", tied=True, hidden="{dense,layer_norm}")},
        ignore=(*bert.IGNORED, "contact_head.*", older[2], *unread),
    )


register(Family(EsmConfig, "Esm", architecture, names, heads))
