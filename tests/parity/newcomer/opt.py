"""OPT (Zhang et al. 2022, arXiv:2205.01068): a family that headway does not know, added from without."""

from typing import Any

from headway.config import PreTrainedConfig
from headway.names import Names, each
from headway.registry import Family, register
from headway.spec import Attention, Decoder, Embed, Layer, LayerNorm, Learned, Mlp, PreNorm, Stack, repeat


class OPTConfig(PreTrainedConfig):
    model_type = "opt"

    vocab_size: int = 50272
    hidden_size: int = 768
    num_hidden_layers: int = 12
    ffn_dim: int = 3072
    word_embed_proj_dim: int = 768
    max_position_embeddings: int = 2048
    num_attention_heads: int = 12
    activation_function: str = "relu"
    dropout: float = 0.1
    attention_dropout: float = 0.0
    init_std: float = 0.02
    use_cache: bool = True
    pad_token_id: int | None = 1
    bos_token_id: int | None = 2
    eos_token_id: int | list[int] | None = 2


def architecture(c: Any) -> Decoder:
    norm, heads = LayerNorm(1e-5), c.num_attention_heads
    attention = Attention(heads, c.hidden_size // heads, causal=True, dropout=c.attention_dropout)
    layer = Layer(attention, Mlp(c.ffn_dim, c.activation_function), PreNorm(norm), dropout=c.dropout)
    embed = Embed(c.vocab_size, c.hidden_size, Learned(c.max_position_embeddings + 2, offset=2))
    return Decoder(Stack(c.hidden_size, embed, repeat(layer, c.num_hidden_layers), norm))


def names(c: Any) -> Names:
    layer = {
        **{f"attn.{x}": f"self_attn.{x}_proj" for x in "qkv"},
        "attn.o": "self_attn.out_proj",
        "attn_norm": "self_attn_layer_norm",
        "mlp.up": "fc1",
        "mlp.down": "fc2",
        "mlp_norm": "final_layer_norm",
    }
    rows = {"embed.tokens": "embed_tokens", "embed.positions": "embed_positions", "norm": "final_layer_norm"}
    return Names("model", each("", "decoder", {**rows, **each("layers.{i}", "layers.{i}", layer)}))


register(Family(OPTConfig, "OPT", architecture, names))
