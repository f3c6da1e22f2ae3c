"""The parameters of token mixers and channel mixers."""

from __future__ import annotations

from headway import spec
from headway.parameters.tensor import Tensor, Tensors, linear, norm, table, under


def mixer(mixer: spec.Mixer, width: int) -> Tensors:
    """Those of a token mixer in a stack of ``width`` channels."""
    match mixer:
        case spec.Attention():
            return _attention(mixer, width)
        case spec.Disentangled():
            return _disentangled(mixer, width)
        case spec.LatentAttention():
            return _latent(mixer, width)
        case spec.StateSpace():
            return _state_space(mixer, width)


def _attention(attention: spec.Attention, width: int) -> Tensors:
    head_width = attention.head_width or spec.head_width(width, attention.heads)
    inner, kv_inner = attention.heads * head_width, (attention.kv_heads or attention.heads) * head_width
    yield from linear("q", width, inner, attention.bias)
    yield from linear("k", width, kv_inner, attention.bias if attention.key_bias is None else attention.key_bias)
    yield from linear("v", width, kv_inner, attention.bias)
    yield from linear("o", inner, width, attention.bias if attention.out_bias is None else attention.out_bias)
    if attention.sinks:
        yield "sinks", Tensor((attention.heads,))
    yield from norm("q_norm", attention.qk_norm, head_width)
    yield from norm("k_norm", attention.qk_norm, head_width)


def _disentangled(mixer: spec.Disentangled, width: int) -> Tensors:
    for name in "qkvo":
        yield from linear(name, width, width, mixer.key_bias if name == "k" else True)
    if mixer.separate and mixer.content_to_position:
        yield from linear("position_k", width, width, mixer.key_bias)
    if mixer.separate and mixer.position_to_content:
        yield from linear("position_q", width, width)


def _latent(mixer: spec.LatentAttention, width: int) -> Tensors:
    turned = mixer.position.width
    queries = mixer.heads * (mixer.key_width + turned)
    if mixer.query_rank is None:
        yield from linear("q", width, queries, False)
    else:
        yield from linear("q_a", width, mixer.query_rank, mixer.bias)
        yield from norm("q_norm", mixer.norm, mixer.query_rank)
        yield from linear("q_b", mixer.query_rank, queries, False)
    yield from linear("kv_a", width, mixer.rank + turned, mixer.bias)
    yield from norm("kv_norm", mixer.norm, mixer.rank)
    # It is read apart for single queries, so that it is never rounded to few bits.
    yield "kv_b.weight", Tensor((mixer.heads * (mixer.key_width + mixer.value_width), mixer.rank))
    yield from linear("o", mixer.heads * mixer.value_width, width, mixer.bias)


def _state_space(mixer: spec.StateSpace, width: int) -> Tensors:
    inner = mixer.heads * mixer.head_width
    convolved = inner + 2 * mixer.groups * mixer.state
    yield from linear("in_proj", width, inner + convolved + mixer.heads, mixer.bias)
    yield "conv.weight", Tensor((convolved, 1, mixer.kernel))
    if mixer.conv_bias:
        yield "conv.bias", Tensor((convolved,))
    for name in ("A_log", "D", "dt_bias"):
        yield name, Tensor((mixer.heads,))
    yield "norm.weight", Tensor((inner,))
    yield from linear("out_proj", inner, width, mixer.bias)


def mlp(part: spec.ChannelMixer, width: int) -> Tensors:
    """Those of a channel mixer."""
    match part:
        case spec.Mlp():
            yield from linear("up", width, part.width, part.bias)
            yield from linear("down", part.width, width, part.bias)
        case spec.GatedMlp() | spec.ClampedGatedMlp():
            yield from linear("gate", width, part.width, part.bias)
            yield from linear("up", width, part.width, part.bias)
            yield from linear("down", part.width, width, part.bias)
        case spec.TokenGatedMlp():
            yield from under("mlp", mlp(part.mlp, width))
            yield from table("gate", 1, width)
        case spec.MixtureOfExperts():
            yield from under("router", _router(part.router, width, part.count))
            expert = tuple(mlp(part.expert, width))
            for number in range(part.count):
                yield from under(f"experts.{number}", iter(expert))
            if part.shared is not None:
                yield from under("shared", mlp(part.shared, width))


def _router(router: spec.Router, width: int, count: int) -> Tensors:
    # Scores are never rounded to few bits: that would change choices.
    yield from table("scores", count, width)
    if isinstance(router, spec.SigmoidRouter):
        yield "correction", Tensor((count,), learned=False)
    elif router.bias:
        yield "scores.bias", Tensor((count,))
