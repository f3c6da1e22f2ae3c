"""How much memory a network takes: its weights in each dtype, and what it keeps of the tokens before the next one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from headway import spec
from headway.parameters import Tensor

# Bytes of one number.
WIDTHS = {"float32": 4, "bfloat16": 2}
_INNER = re.compile(r"backbone\.(.*\.)?layers\.\d+\..*")
_OUTPUT = "head.lm.decoder.weight"
_GROUP = 32  # inputs that share a scale and a zero in 4 bits


def weights(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Bytes of all tensors by dtype; ``int8`` and ``int4`` round what ``quantize`` rounds, and the rest is bfloat16."""
    total = sum(tensor.size for tensor in tensors.values())
    found = {dtype: width * total for dtype, width in WIDTHS.items()}
    for kind in ("int8", "int4"):
        found[kind] = sum(_rounded(name, tensor, kind) for name, tensor in tensors.items())
    return found


def _rounded(name: str, tensor: Tensor, kind: str) -> int:
    if not (tensor.linear and (name == _OUTPUT or _INNER.fullmatch(name))):
        return 2 * tensor.size
    outputs, inputs = tensor.shape
    if kind == "int8" or name == _OUTPUT or inputs % _GROUP:
        return tensor.size + 4 * outputs
    return tensor.size // 2 + 4 * tensor.size // _GROUP


def cache(backbone: spec.Backbone, tokens: int, rows: int, width: int) -> int | None:
    """Bytes of a cache of ``tokens`` tokens in each of ``rows`` rows; None for a backbone that keeps none.

    Args:
        backbone: the network; what a decoder keeps of its encoder's text is counted as ``tokens`` long, too.
        tokens: of each row.
        rows: texts at once.
        width: bytes of a number of the model's dtype.
    """
    stack = backbone.decoder if isinstance(backbone, spec.EncoderDecoder) else getattr(backbone, "stack", None)
    if stack is None or not all(spec.mixer_of(layer).causal for layer in stack.layers):
        return None
    runs = (stack.layers[number] for number in stack.order or range(len(stack.layers)))
    return rows * sum(_layer(layer, stack.width, tokens, width) for layer in runs)


def _layer(layer: spec.Layer | spec.ConvolvedLayer, channels: int, tokens: int, width: int) -> int:
    """Bytes that a layer keeps of one row."""
    mixer, cross = spec.mixer_of(layer), getattr(layer, "cross", None)
    memory = 0 if cross is None else tokens * _numbers(cross, channels) * width
    match mixer:
        case spec.Attention():
            seen = tokens if mixer.window is None else min(tokens, mixer.window)
            return seen * _numbers(mixer, channels) * width + memory
        case spec.LatentAttention():
            return tokens * (mixer.rank + mixer.position.width) * width
        case spec.StateSpace():
            inner, shared = mixer.heads * mixer.head_width, 2 * mixer.groups * mixer.state
            # States are float32 whatever the model is.
            return (mixer.kernel - 1) * (inner + shared) * width + 4 * inner * mixer.state
    return memory


def _numbers(attention: spec.Attention, channels: int) -> int:
    """Numbers of a token's keys and values."""
    width = attention.head_width or spec.head_width(channels, attention.heads)
    return 2 * (attention.kv_heads or attention.heads) * width
