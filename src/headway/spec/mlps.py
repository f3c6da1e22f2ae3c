"""Channel mixers: what a layer does to each token by itself."""

from __future__ import annotations

from headway.spec.part import part


@part
class Mlp:
    """Two linear layers with an activation between them."""

    width: int
    activation: str
    bias: bool = True
    dropout: float = 0.0


@part
class GatedMlp:
    """``down(act(gate(x)) * up(x))`` (Shazeer 2020, arXiv:2002.05202)."""

    width: int
    activation: str
    bias: bool = False
    dropout: float = 0.0


@part
class ClampedGatedMlp:
    """``down((up(x) + 1) * gate(x) * sigmoid(alpha * gate(x)))``, both sides clamped (gpt-oss, arXiv:2508.10925).

    ``limit`` bounds the gate from above and the other side from both.
    """

    width: int
    alpha: float
    limit: float
    bias: bool = True
    dropout: float = 0.0


@part
class TokenGatedMlp:
    """``sigmoid(gate(x)) * mlp(x)``, the gate one number a token."""

    mlp: GatedMlp


@part
class Groups:
    """Experts stand in ``count`` equal groups, of which the best ``top`` are open to a token (arXiv:2405.04434)."""

    count: int
    top: int


@part
class SoftmaxRouter:
    """Each token goes to the ``top`` likeliest experts, weighed by their probabilities times ``scale``.

    ``renormalise`` makes the chosen probabilities sum to one. A group is as good as its best expert.
    """

    top: int
    renormalise: bool = True
    bias: bool = False
    groups: Groups | None = None
    scale: float = 1.0


@part
class SigmoidRouter:
    """Each expert is likely on its own (DeepSeek-AI 2024, arXiv:2412.19437), else as ``SoftmaxRouter``.

    A stored correction counts in the choice and not in the weights. A group is as good as its best two experts.
    """

    top: int
    renormalise: bool = True
    groups: Groups | None = None
    scale: float = 1.0


Router = SoftmaxRouter | SigmoidRouter


@part
class MixtureOfExperts:
    """``count`` sparse experts (Shazeer et al. 2017, arXiv:1701.06538), and one that every token goes to, if any."""

    expert: GatedMlp | ClampedGatedMlp | Mlp
    count: int
    router: Router
    shared: GatedMlp | TokenGatedMlp | None = None


ChannelMixer = Mlp | GatedMlp | ClampedGatedMlp | TokenGatedMlp | MixtureOfExperts
