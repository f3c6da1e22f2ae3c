"""BLOOM (Le Scao et al. 2022, arXiv:2211.05100): pre-norm decoder with ALiBi and a norm after its embeddings."""

from typing import Any, ClassVar

from headway import spec
from headway.config import PreTrainedConfig
from headway.families import gpt_neox
from headway.layouts import FusedGroups
from headway.names import Names, each
from headway.registry import Family, register


class BloomConfig(PreTrainedConfig):
    model_type = "bloom"
    attribute_map: ClassVar[dict[str, str]] = {"n_embed": "hidden_size"}

    vocab_size: int = 250880
    hidden_size: int = 64
    n_layer: int = 2
    n_head: int = 8
    layer_norm_epsilon: float = 1e-5
    apply_residual_connection_post_layernorm: bool = False
    hidden_dropout: float = 0.0
    attention_dropout: float = 0.0
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2


def architecture(c: Any) -> spec.Decoder:
    norm, positions = spec.LayerNorm(c.layer_norm_epsilon), spec.Alibi(spec.alibi_slopes(c.n_head))
    width = spec.head_width(c.hidden_size, c.n_head)
    attention = spec.Attention(c.n_head, width, causal=True, position=positions, dropout=c.attention_dropout)
    residual = spec.NormedResidual(norm) if c.apply_residual_connection_post_layernorm else spec.PreNorm(norm)
    layer = spec.Layer(attention, spec.Mlp(4 * c.hidden_size, "gelu_new"), residual, dropout=c.hidden_dropout)
    embed = spec.Embed(c.vocab_size, c.hidden_size, norm=norm)
    return spec.Decoder(spec.Stack(c.hidden_size, embed, spec.repeat(layer, c.n_layer), norm))


def rows(fused: FusedGroups) -> dict[Any, Any]:
    """Names of the backbone."""
    layer = gpt_neox.rows("self_attention", fused)
    return {"embed.tokens": "word_embeddings", "norm": "ln_f", **each("layers.{i}", "h.{i}", layer)}


def names(c: Any) -> Names:
    fused = FusedGroups(spec.head_width(c.hidden_size, c.n_head))
    return Names("transformer", {**rows(fused), "embed.norm": "word_embeddings_layernorm"})


register(Family(BloomConfig, "Bloom", architecture, names))
