"""Which switches of the families' configs are turned on in tests: a file for each kind, an entry for each switch.

A family needs no entry here to be tested; each entry adds cells beside the plain ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DECODER_TASKS = ("base", "causal-lm")


@dataclass(frozen=True)
class Variant:
    """Changed fields of the tiny config.

    ``tasks`` limits it to some heads, ``width`` is the length of a row, ``image`` the size of an image other than the
    config's, ``call`` what is passed to the model besides the inputs, ``types_below`` gives token types where the
    config names no number of them, ``own`` names parameters that transformers ties but files have of their own.
    """

    values: dict[str, Any] = field(default_factory=dict)
    tasks: tuple[str, ...] | None = None
    width: int = 11
    image: tuple[int, int] | None = None
    call: dict[str, Any] = field(default_factory=dict)
    types_below: int = 0
    own: tuple[str, ...] = ()


PLAIN = Variant()


def rope(kind: str, **values: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 1000.0, **values}}


def long(original: int) -> dict[str, Any]:
    factors = {"short_factor": [1.0, 1.1, 1.3, 1.7], "long_factor": [1.0, 2.0, 3.5, 5.0]}
    return rope("longrope", original_max_position_embeddings=original, **factors)


decoder = Variant({"is_decoder": True}, ("base", "sequence-classification"))
with_memory = Variant({"is_decoder": True, "add_cross_attention": True}, DECODER_TASKS)
untied = Variant({"tie_word_embeddings": False})
