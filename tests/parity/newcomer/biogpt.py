"""BioGPT (Luo et al. 2022, arXiv:2210.10341): a family that headway does not know, added from without."""

from typing import Any

from headway.config import PreTrainedConfig
from headway.names import Names, each
from headway.registry import Family, register
from headway.spec import Attention, Decoder, Embed, Layer, LayerNorm, Learned, Mlp, PreNorm, Stack, head_width, repeat


class BioGptConfig(PreTrainedConfig):
    model_type = "biogpt"

    vocab_size: int = 42384
    hidden_size: int = 1024
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    intermediate_size: int = 4096
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    activation_dropout: float = 0.0
    max_position_embeddings: int = 1024
    layer_norm_eps: float = 1e-12
    scale_embedding: bool = True
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 2


def architecture(c: Any) -> Decoder:
    heads, norm = c.num_attention_heads, LayerNorm(c.layer_norm_eps)
    width = head_width(c.hidden_size, heads)
    attention = Attention(heads, width, causal=True, dropout=c.attention_probs_dropout_prob)
    mlp = Mlp(c.intermediate_size, c.hidden_act, dropout=c.activation_dropout)
    layer = Layer(attention, mlp, PreNorm(norm), dropout=c.hidden_dropout_prob)
    positions = Learned(c.max_position_embeddings + 2, offset=2)
    scale = c.hidden_size**0.5 if c.scale_embedding else 1.0
    embed = Embed(c.vocab_size, c.hidden_size, positions, scale=scale, dropout=c.hidden_dropout_prob)
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
    rows = {"embed.tokens": "embed_tokens", "embed.positions": "embed_positions", "norm": "layer_norm"}
    rows |= each("layers.{i}", "layers.{i}", layer)
    return Names("biogpt", rows, heads={"causal-lm": {"lm.decoder": "output_projection"}})


register(Family(BioGptConfig, "BioGpt", architecture, names))
