"""OPT (Zhang et al. 2022, arXiv:2205.01068): GPT-3 anew; its 350m has narrow tokens and norms after each part."""

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.families import bart
from headway.names import Names, each
from headway.registry import Family, register


class OPTConfig(PreTrainedConfig):
    model_type = "opt"
    vocab_size: int = 50272
    hidden_size: int = 768
    num_hidden_layers: int = 12
    ffn_dim: int = 3072
    max_position_embeddings: int = 2048
    do_layer_norm_before: bool = True
    _remove_final_layer_norm: bool = False
    word_embed_proj_dim: int | None = None
    dropout: float = 0.1
    attention_dropout: float = 0.0
    num_attention_heads: int = 12
    activation_function: str = "relu"
    init_std: float = 0.02
    enable_bias: bool = True
    layer_norm_elementwise_affine: bool = True
    pad_token_id: int | None = 1
    bos_token_id: int | None = 2
    eos_token_id: int | list[int] | None = 2


def architecture(c: Any) -> spec.Decoder:
    heads, tokens, bias = c.num_attention_heads, c.word_embed_proj_dim or c.hidden_size, c.enable_bias
    norm = spec.LayerNorm(1e-5) if c.layer_norm_elementwise_affine else spec.BareLayerNorm(1e-5)
    width = spec.head_width(c.hidden_size, heads)
    attention = spec.Attention(heads, width, bias=bias, causal=True, dropout=c.attention_dropout)
    residual = spec.PreNorm(norm) if c.do_layer_norm_before else spec.PostNorm(norm)
    layer = spec.Layer(attention, spec.Mlp(c.ffn_dim, c.activation_function, bias), residual, dropout=c.dropout)
    # The first two rows of the position table are never read.
    positions = spec.Learned(c.max_position_embeddings + 2, offset=2)
    return spec.Decoder(
        spec.Stack(
            c.hidden_size,
            spec.Embed(c.vocab_size, tokens, positions, project=spec.ProjectTokens()),
            spec.repeat(layer, c.num_hidden_layers),
            norm if c.do_layer_norm_before and not c._remove_final_layer_norm else None,
            out=None if tokens == c.hidden_size else tokens,
        )
    )


def names(c: Any) -> Names:
    layer = {"mlp.up": "fc1", "mlp.down": "fc2", "mlp_norm": "final_layer_norm"}
    rows = {
        "embed.tokens": "embed_tokens",
        "embed.positions": "embed_positions",
        "embed.project": "project_in",
        "project": "project_out",
        "norm": "final_layer_norm",
        **each("layers.{i}", "layers.{i}", {**bart.attention("attn", "self_attn"), **layer}),
    }
    return Names("model", each("", "decoder", rows), ignore=("decoder.version",))


register(Family(OPTConfig, "OPT", architecture, names))
