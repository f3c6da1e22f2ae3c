"""GPT-2 (Radford et al. 2019): pre-norm decoder with learned positions; its files hold transposed, fused weights."""

from collections.abc import Mapping
from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.layouts import FusedColumns, Transposed
from headway.names import Names, Stored, each
from headway.registry import Family, register


class GPT2Config(PreTrainedConfig):
    model_type = "gpt2"
    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    layer_norm_epsilon: float = 1e-5
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    add_cross_attention: bool = False
    bos_token_id: int | None = 50256
    eos_token_id: int | list[int] | None = 50256


def mlp(c: Any) -> spec.Mlp:
    return spec.Mlp(c.intermediate_size or 4 * c.hidden_size, c.activation_function)


def decoder(c: Any, layers: tuple[spec.Layer, ...], positions: spec.Learned | None, dropout: float) -> spec.Decoder:
    """The decoder that GPT-2 and its descendants share, around ``layers``."""
    embed = spec.Embed(c.vocab_size, c.hidden_size, positions, spec.TypesAsTokens(), dropout=dropout)
    return spec.Decoder(spec.Stack(c.hidden_size, embed, layers, spec.LayerNorm(c.layer_norm_epsilon)))


def architecture(c: Any) -> spec.Decoder:
    norm, width = spec.LayerNorm(c.layer_norm_epsilon), spec.head_width(c.n_embd, c.n_head)

    def layer(index: int) -> spec.Layer:
        scale = (width**-0.5 if c.scale_attn_weights else 1.0) / (index + 1 if c.scale_attn_by_inverse_layer_idx else 1)
        attention = spec.Attention(c.n_head, width, causal=True, scale=scale, dropout=c.attn_pdrop)
        cross = spec.Attention(c.n_head, width, scale=scale, dropout=c.attn_pdrop) if c.add_cross_attention else None
        return spec.Layer(attention, mlp(c), spec.PreNorm(norm), cross, c.resid_pdrop)

    return decoder(c, tuple(map(layer, range(c.n_layer))), spec.Learned(c.n_positions), c.embd_pdrop)


def named(layer: Mapping[Any, Any], *attentions: str) -> Names:
    """The table around the rows of one layer; older files hold masks in its ``attentions``."""
    rows = {"embed.tokens": "wte", "embed.positions": "wpe", "norm": "ln_f", **each("layers.{i}", "h.{i}", layer)}
    masks = tuple(f"h.{{i}}.{attention}.{mask}" for attention in attentions for mask in ("bias", "masked_bias"))
    return Names("transformer", rows, ignore=masks)


def names(c: Any) -> Names:
    layer = {
        ("attn.q", "attn.k", "attn.v"): Stored("attn.c_attn", FusedColumns(3)),
        "attn.o": Stored("attn.c_proj", Transposed()),
        "attn_norm": "ln_1",
        "cross.q": Stored("crossattention.q_attn", Transposed()),
        ("cross.k", "cross.v"): Stored("crossattention.c_attn", FusedColumns(2)),
        "cross.o": Stored("crossattention.c_proj", Transposed()),
        "cross_norm": "ln_cross_attn",
        "mlp.up": Stored("mlp.c_fc", Transposed()),
        "mlp.down": Stored("mlp.c_proj", Transposed()),
        "mlp_norm": "ln_2",
    }
    return named(layer, "attn", "crossattention")


register(Family(GPT2Config, "GPT2", architecture, names, classes={"causal-lm": "GPT2LMHeadModel"}))
