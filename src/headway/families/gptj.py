"""GPT-J (Wang and Komatsuzaki 2021): GPT-2 with rotary positions and both parts of a layer side by side."""

from typing import Any

from headway import spec
from headway.families import gpt2
from headway.layouts import Interleaved
from headway.names import Names, Stored
from headway.registry import Family, register


class GPTJConfig(gpt2.GPT2Config):
    model_type = "gptj"
    vocab_size: int = 50400
    n_positions: int = 2048
    n_embd: int = 4096
    n_layer: int = 28
    n_head: int = 16
    rotary_dim: int | None = 64
    resid_pdrop: float = 0.0
    embd_pdrop: float = 0.0
    attn_pdrop: float = 0.0
    tie_word_embeddings: bool = False


def architecture(c: Any) -> spec.Decoder:
    width = spec.head_width(c.n_embd, c.n_head)
    positions = spec.Rotary(c.rotary_dim or width)
    attention = spec.Attention(c.n_head, width, bias=False, causal=True, position=positions, dropout=c.attn_pdrop)
    residual = spec.Parallel(spec.LayerNorm(c.layer_norm_epsilon))
    layer = spec.Layer(attention, gpt2.mlp(c), residual, dropout=c.resid_pdrop)
    return gpt2.decoder(c, spec.repeat(layer, c.n_layer), None, c.embd_pdrop)


def heads(c: Any) -> dict[str, spec.Recipe]:
    return {"causal-lm": spec.Vocabulary(bias=True)}


def names(c: Any) -> Names:
    width = spec.head_width(c.n_embd, c.n_head)
    pairs = Interleaved(width, c.rotary_dim or width)
    layer = {
        **{f"attn.{x}": Stored(f"attn.{x}_proj", pairs) for x in "qk"},
        "attn.v": "attn.v_proj",
        "attn.o": "attn.out_proj",
        "attn_norm": "ln_1",
        "mlp.up": "mlp.fc_in",
        "mlp.down": "mlp.fc_out",
    }
    return gpt2.named(layer, "attn")


register(Family(GPTJConfig, "GPTJ", architecture, names, heads))
