"""What a stack reads: tokens, or patches of an image."""

from __future__ import annotations

from headway.spec.norms import Norm
from headway.spec.part import part
from headway.spec.positions import Learned, Sinusoidal


@part
class TokenTypes:
    """A table of ``count`` segment vectors; rows that name no segment read row 0."""

    count: int


@part
class TypesAsTokens:
    """Segment ids are looked up in the token table; rows that name no segment add nothing."""


@part
class Rounded:
    """A factor that is rounded to the dtype of what it multiplies before it does."""

    value: float


@part
class ProjectSum:
    """The sum of all vectors, after its norm, is brought to the stack's width."""

    bias: bool = True


@part
class ProjectTokens:
    """The token vectors alone are brought to the stack's width, before others of that width are added."""

    bias: bool = False


Projection = ProjectSum | ProjectTokens


@part
class TokenDropout:
    """ESM's way with masks (Rives et al. 2021, doi:10.1073/pnas.2016239118), which saw ``rate`` of all tokens masked.

    The vector of the token ``mask`` is zero, and a row's others grow with the share of masks among its tokens.
    """

    mask: int
    rate: float = 0.12


@part
class Embed:
    """Token ids to vectors of ``width`` channels, projected by ``project`` to the stack's width where that differs.

    ``scale`` multiplies the token vectors before positions and types are added.
    """

    vocabulary: int
    width: int
    positions: Learned | Sinusoidal | None = None
    types: TokenTypes | TypesAsTokens | None = None
    norm: Norm | None = None
    scale: float | Rounded | TokenDropout = 1.0
    dropout: float = 0.0
    project: Projection = ProjectSum()


@part
class Patches:
    """An image cut into patches by a strided convolution, after ``tokens`` learned vectors, and learned positions.

    ``bias`` is the convolution's. ``mask`` keeps a vector to put in the place of patches that a caller hides. With
    ``any_size`` images of another size are taken as they come, positions resampled; else only where a call asks.
    """

    image: tuple[int, int]
    patch: tuple[int, int]
    channels: int
    width: int
    tokens: int = 1
    positions: bool = True
    bias: bool = True
    mask: bool = False
    any_size: bool = False
    norm: Norm | None = None
    dropout: float = 0.0

    @property
    def grid(self) -> tuple[int, int]:
        """Patches down and across."""
        return self.image[0] // self.patch[0], self.image[1] // self.patch[1]
