"""What a head reads of a backbone, and the poolers that make one vector of a row."""

from __future__ import annotations

from headway.spec.mlps import Mlp
from headway.spec.norms import Norm
from headway.spec.part import part


@part
class EveryToken:
    """Each position of the last stack."""


@part
class EncoderTokens:
    """Each position of the encoder; the decoder is not built."""


@part
class DecoderTokens:
    """Each position of the decoder; the encoder is not built."""


@part
class FirstToken:
    """The first real position of a row."""


@part
class LastToken:
    """The last real position of a row."""


@part
class LastEos:
    """The position of the last end-of-sequence token of a row."""


@part
class NthToken:
    """The real position of a row that has ``at`` before it."""

    at: int


@part
class FirstOf:
    """The first position of a row that holds ``token``."""

    token: int


@part
class HighestId:
    """The first position of a row that holds the highest of its token ids: where end-of-sequence is the last entry."""


@part
class Mean:
    """The mean of a row's positions after the first ``skip``."""

    skip: int = 0


@part
class Joined:
    """Several vectors of a row side by side."""

    reads: tuple[FirstToken | LastToken | Mean, ...]


@part
class Pooled:
    """The backbone's pooler."""


Read = (
    EveryToken
    | EncoderTokens
    | DecoderTokens
    | FirstToken
    | LastToken
    | LastEos
    | NthToken
    | FirstOf
    | HighestId
    | Mean
    | Joined
    | Pooled
)


@part
class Pooler:
    """A row's vector: what ``read`` names, normalised where a norm is given, then a dense layer to ``width``.

    ``width`` None keeps the width; ``activation`` None leaves the dense layer out.
    """

    width: int | None = None
    activation: str | None = "tanh"
    read: Read = FirstToken()
    norm: Norm | None = None


@part
class ProbePooler:
    """A learned probe's attention to all positions (Lee et al. 2018, arXiv:1810.00825), then ``x + mlp(norm(x))``."""

    width: int
    heads: int
    mlp: Mlp
    norm: Norm


AnyPooler = Pooler | ProbePooler
