"""UMT5 (Chung et al. 2023, arXiv:2304.09151): mT5 with a relative bias in every layer."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.families import mt5, t5
from headway.registry import Family, register


class UMT5Config(mt5.MT5Config):
    model_type = "umt5"


def own_biases(stack: Any) -> spec.Stack:
    """``stack`` with a table of biases for each layer."""
    mixers = [replace(x.mixer, position=spec.LayerBias(x.mixer.position, i)) for i, x in enumerate(stack.layers)]
    layers = [replace(layer, mixer=mixer) for layer, mixer in zip(stack.layers, mixers, strict=True)]
    return replace(stack, layers=tuple(layers))


def architecture(c: Any) -> spec.EncoderDecoder:
    plain = t5.architecture(c)
    return replace(plain, encoder=own_biases(plain.encoder), decoder=own_biases(plain.decoder))


def heads(c: Any) -> dict[str, spec.Recipe]:
    # As in T5 the states are scaled before a tied table; files of the hub say that theirs is not.
    return {"seq2seq-lm": spec.Vocabulary(tie="if_absent", scale=c.d_model**-0.5 if c.tie_word_embeddings else 1.0)}


register(Family(UMT5Config, "UMT5", architecture, t5.names, heads))
