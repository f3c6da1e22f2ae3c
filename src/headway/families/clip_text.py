"""CLIP's text tower (Radford et al. 2021, arXiv:2103.00020): a pre-norm decoder, read at the end of the text."""

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.names import Names, each
from headway.registry import Family, register


class TextTowerConfig(PreTrainedConfig):
    """What the configs of CLIP's text tower and its descendants have in common."""

    vocab_size: int = 49408
    hidden_size: int = 512
    intermediate_size: int = 2048
    num_hidden_layers: int = 12
    num_attention_heads: int = 8
    max_position_embeddings: int = 77
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    attention_dropout: float = 0.0
    use_cache: bool = False
    pad_token_id: int | None = 1
    bos_token_id: int | None = 49406
    eos_token_id: int | list[int] | None = 49407


class CLIPTextConfig(TextTowerConfig):
    model_type = "clip_text_model"
    projection_dim: int = 512


def layers(c: Any, causal: bool = False) -> tuple[spec.Layer, ...]:
    """The layers of either tower."""
    width = spec.head_width(c.hidden_size, c.num_attention_heads)
    attention = spec.Attention(c.num_attention_heads, width, causal=causal, dropout=c.attention_dropout)
    mlp = spec.Mlp(c.intermediate_size, c.hidden_act)
    return spec.repeat(spec.Layer(attention, mlp, spec.PreNorm(spec.LayerNorm(c.layer_norm_eps))), c.num_hidden_layers)


def stack(c: Any, causal: bool = False) -> spec.Stack:
    embed = spec.Embed(c.vocab_size, c.hidden_size, spec.Learned(c.max_position_embeddings))
    return spec.Stack(c.hidden_size, embed, layers(c, causal))


def architecture(c: Any) -> spec.Decoder:
    # Old configs name a wrong end-of-sequence token; in their vocabulary the right one is the last entry.
    end = spec.HighestId() if c.eos_token_id in (2, None) else spec.FirstOf(c.eos_token_id)
    return spec.Decoder(stack(c, True), spec.Pooler(c.hidden_size, None, end), spec.LayerNorm(c.layer_norm_eps))


def heads(c: Any) -> dict[str, spec.Recipe]:
    return {"projection": spec.Project(c.projection_dim)}


ATTENTION = {**{f"attn.{x}": f"self_attn.{x}_proj" for x in "qkv"}, "attn.o": "self_attn.out_proj"}
LAYER = ATTENTION | {"mlp.up": "mlp.fc1", "mlp.down": "mlp.fc2", "attn_norm": "layer_norm1", "mlp_norm": "layer_norm2"}
LAYERS = each("layers.{i}", "encoder.layers.{i}", LAYER)


def names(c: Any) -> Names:
    embed = {f"embed.{x}s": f"embeddings.{x}_embedding" for x in ("token", "position")}
    rows = {**embed, **LAYERS, "final_norm": "final_layer_norm", "pooler.dense": "head"}
    return Names("text_model", rows, {"projection": {"out": "text_projection"}}, ignore=("embeddings.position_ids",))


register(Family(CLIPTextConfig, "CLIPText", architecture, names, heads))
