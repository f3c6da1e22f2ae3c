"""BART (Lewis et al. 2019, arXiv:1910.13461): post-norm encoder-decoder with learned positions."""

from typing import Any

from headway import spec
from headway.config import TwoStackConfig
from headway.names import Names, each, stacks
from headway.registry import Family, register


class BartConfig(TwoStackConfig):
    model_type = "bart"
    classifier_dropout: float = 0.0
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 2
    decoder_start_token_id: int | None = 2
    forced_eos_token_id: int | list[int] | None = 2
    id2label: dict[int, str] | None = {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}  # noqa: RUF012 - the base copies it


NORM = spec.LayerNorm(1e-5)
PRE, POST = spec.PreNorm(NORM), spec.PostNorm(NORM)


def architecture(c: Any, residual: Any = POST, positions: Any = None, embed_norm: Any = NORM) -> spec.EncoderDecoder:
    # The first two rows of the table of positions are never read.
    positions = positions or spec.Learned(c.max_position_embeddings + 2, offset=2)
    scale = c.d_model**0.5 if c.scale_embedding else 1.0
    embed = spec.Embed(c.vocab_size, c.d_model, positions, norm=embed_norm, scale=scale, dropout=c.dropout)

    def stack(side: str) -> spec.Stack:
        heads = getattr(c, f"{side}_attention_heads")
        attention = spec.Attention(heads, spec.head_width(c.d_model, heads), dropout=c.attention_dropout)
        mlp = spec.Mlp(getattr(c, f"{side}_ffn_dim"), c.activation_function, dropout=c.activation_dropout)
        layer = spec.Layer(attention, mlp, residual, dropout=c.dropout)
        layers = spec.repeat(spec.decoding(layer) if side == "decoder" else layer, getattr(c, f"{side}_layers"))
        return spec.Stack(c.d_model, embed, layers, NORM if residual == PRE else None)

    return spec.EncoderDecoder(stack("encoder"), stack("decoder"), shared=c.tie_word_embeddings)


def heads(c: Any) -> dict[str, spec.Recipe]:
    return {"seq2seq-lm": spec.Vocabulary(offset=True)}


def attention(ours: str, theirs: str) -> dict[str, str]:
    inputs = {f"{ours}.{x}": f"{theirs}.{x}_proj" for x in "qkv"}
    return {**inputs, f"{ours}.o": f"{theirs}.out_proj", f"{ours}_norm": f"{theirs}_layer_norm"}


MLP = {"mlp.up": "fc1", "mlp.down": "fc2", "mlp_norm": "final_layer_norm"}
LAYER = {**attention("attn", "self_attn"), **attention("cross", "encoder_attn"), **MLP}
EMBED = {"embed.positions": "embed_positions", "embed.norm": "layernorm_embedding"}
STACK = {**EMBED, **each("layers.{i}", "layers.{i}", LAYER), "norm": "layer_norm"}
IGNORED = ("encoder.version", "decoder.version", "shared.weight")


def names(c: Any, shared: bool = True, ignore: tuple[str, ...] = ()) -> Names:
    return Names("model", stacks(STACK, STACK, shared and c.tie_word_embeddings), ignore=(*IGNORED, *ignore))


register(Family(BartConfig, "Bart", architecture, names, heads))
