"""What a network can be made of: frozen dataclasses that a family's ``architecture`` puts together.

A spec says *what* a network is and never *how* it is computed; ``nn.build`` turns it into modules. Variation is a
type, not a flag: a new variant is one dataclass here and one builder registered beside the module that it builds.
This module is standard library only, so that families can be read and inspected without torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import FrozenInstanceError, dataclass, replace
from math import inf, log
from typing import Any, ClassVar, TypeVar, dataclass_transform

from headway.errors import ConfigError

_Part = TypeVar("_Part")


@dataclass_transform(frozen_default=True)
def part(cls: type[_Part]) -> type[_Part]:
    """A frozen dataclass. Its methods are those of all parts: making them anew for each takes most of an import."""
    made: Any = dataclass(eq=False, repr=False)(cls)
    made.__setattr__, made.__delattr__ = _set, _delete
    made.__eq__, made.__hash__, made.__repr__ = _equals, _hashed, _shown
    return cls


def _set(self: Any, name: str, value: Any) -> None:
    if name in self.__dict__ or name not in self.__dataclass_fields__:
        raise FrozenInstanceError(f"{type(self).__name__}.{name} is as it was made; use dataclasses.replace.")
    self.__dict__[name] = value


def _delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"{type(self).__name__}.{name} is as it was made; use dataclasses.replace.")


def _equals(self: Any, other: object) -> bool:
    return type(self) is type(other) and self.__dict__ == other.__dict__


def _hashed(self: Any) -> int:
    return hash((type(self), *self.__dict__.values()))


def _shown(self: Any) -> str:
    fields = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
    return f"{type(self).__name__}({fields})"


# --- norms: the width is that of the place where they stand -------------------------------------------------------


@part
class LayerNorm:
    """Ba et al. 2016, arXiv:1607.06450."""

    eps: float


@part
class BiasFreeLayerNorm:
    """``LayerNorm`` with a weight and no bias."""

    eps: float


@part
class RMSNorm:
    """Zhang and Sennrich 2019, arXiv:1910.07467; computed in float32."""

    eps: float


@part
class ZeroCenteredRMSNorm:
    """Gemma's RMSNorm (arXiv:2403.08295), which multiplies by one plus its weight; all of it in float32."""

    eps: float


@part
class BareLayerNorm:
    """``LayerNorm`` without weight and bias."""

    eps: float


Norm = LayerNorm | BiasFreeLayerNorm | BareLayerNorm | RMSNorm | ZeroCenteredRMSNorm

# --- positions ----------------------------------------------------------------------------------------------------


@part
class Learned:
    """A table of ``count`` position vectors; the first token of a row reads row ``offset`` of it."""

    count: int
    offset: int = 0


@part
class Sinusoidal:
    """Computed vectors, sines before cosines (Vaswani et al. 2017, arXiv:1706.03762), for rows of any length.

    The first token of a row stands at position ``offset``; wavelengths grow from 2 pi towards 2 pi ``theta``.
    """

    offset: int = 0
    theta: float = 10000.0


@part
class RopeLinear:
    """Position interpolation (Chen et al. 2023, arXiv:2306.15595)."""

    factor: float


@part
class RopeDynamic:
    """NTK-aware base that grows with the sequence beyond ``original`` positions."""

    factor: float
    original: int


@part
class RopeYarn:
    """Peng et al. 2023, arXiv:2309.00071. ``attention_factor`` scales cos and sin (None: from the factor)."""

    factor: float
    original: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    mscale: float | None = None
    mscale_all_dim: float | None = None
    attention_factor: float | None = None
    truncate: bool = True

    def magnitude(self, weight: float) -> float:
        """By how much attention is sharpened, ``weight`` being ``mscale`` or ``mscale_all_dim``."""
        return 1.0 if self.factor <= 1 else 0.1 * weight * log(self.factor) + 1.0


@part
class RopeLong:
    """LongRoPE (Ding et al. 2024, arXiv:2402.13753): ``short`` up to ``original`` positions, ``long`` beyond."""

    short: tuple[float, ...]
    long: tuple[float, ...]
    original: int
    attention_factor: float


@part
class RopeLlama3:
    """Llama 3.1's scaling of the low frequencies alone."""

    factor: float
    low: float
    high: float
    original: int


RopeScaling = RopeLinear | RopeDynamic | RopeYarn | RopeLong | RopeLlama3


@part
class Rotary:
    """Rotary positions (Su et al. 2021, arXiv:2104.09864) on the first ``width`` channels of each head, in halves."""

    width: int
    theta: float = 10000.0
    scaling: RopeScaling | None = None


@part
class StoredRotary(Rotary):
    """Rotary positions whose frequencies are stored with the weights, rounded as they were in training."""


@part
class RelativeBias:
    """T5's bucketed bias (Raffel et al. 2020, arXiv:1910.10683), one table for all layers that name it."""

    heads: int
    buckets: int
    max_distance: int
    bidirectional: bool


@part
class GridBias:
    """BEiT's learned bias for each head and offset between two patches (Bao et al. 2021, arXiv:2106.08254).

    ``grid`` counts patches down and across, after one class token.
    """

    heads: int
    grid: tuple[int, int]


@part
class LayerBias:
    """A bias that ``layer`` has to itself, where layers that name an equal one would share it."""

    bias: RelativeBias | GridBias
    layer: int


@part
class RelativeTable:
    """DeBERTa's table of relative positions (He et al. 2021, arXiv:2006.03654), read by ``Disentangled``.

    Distances up to ``span`` keep a row each; with ``log_until`` they are bucketed on a log scale up to there.
    """

    width: int
    span: int
    log_until: int | None = None
    norm: Norm | None = None


@part
class Alibi:
    """Scores fall with the distance to the key, by a slope for each head (Press et al. 2021, arXiv:2108.12409)."""

    slopes: tuple[float, ...]


@part
class RoundedAlibi:
    """ALiBi as Falcon was trained with it: slope times the key's position, rounded to bfloat16, times ``scale``.

    What all keys of a query gain cancels in the softmax, so that the rounding alone is other than ``Alibi``.
    """

    slopes: tuple[float, ...]
    scale: float


Position = Rotary | RelativeBias | LayerBias | RelativeTable | Alibi | RoundedAlibi | GridBias

# --- token mixers: each says whether a token sees only those before it, and the position that it names ------------


@part
class Attention:
    """Multi-head attention; ``kv_heads`` fewer than ``heads`` shares keys and values among groups.

    ``head_width`` None shares the stack's width evenly. ``key_bias`` and ``out_bias`` None are as ``bias``.
    ``window`` counts the visible positions, the query's own included. ``scale`` multiplies the scores
    (None: ``head_width ** -0.5``). ``dropout`` acts on the attention weights. ``qk_norm`` acts on each head's queries
    and keys before their positions. ``softcap`` bounds the scores by ``cap * tanh(score / cap)``. ``sinks`` adds to
    each head's softmax a learned score that carries no value (Xiao et al. 2023, arXiv:2309.17453).
    """

    heads: int
    head_width: int | None = None
    kv_heads: int | None = None
    bias: bool = True
    key_bias: bool | None = None
    out_bias: bool | None = None
    causal: bool = False
    window: int | None = None
    scale: float | None = None
    position: Position | None = None
    dropout: float = 0.0
    qk_norm: Norm | None = None
    softcap: float | None = None
    sinks: bool = False


@part
class Disentangled:
    """DeBERTa's attention: scores from content, content to position and position to content.

    ``separate`` gives the position table its own key and query projections instead of the content's. ``key_bias`` is
    that of all keys.
    """

    heads: int
    table: RelativeTable
    content_to_position: bool = True
    position_to_content: bool = True
    separate: bool = False
    key_bias: bool = True
    dropout: float = 0.0
    causal: ClassVar[bool] = False

    @property
    def position(self) -> RelativeTable:
        """The table."""
        return self.table


@part
class LatentAttention:
    """DeepSeek-V2's attention (arXiv:2405.04434): keys and values are made of one vector of ``rank`` channels a token.

    Of a head's keys, ``key_width`` channels have no position; the rotary ones are the same in all heads. Queries are
    made of a vector of ``query_rank`` channels, where there is one. ``norm`` acts on both vectors. ``bias`` is that of
    the layers to and from the stack's width. Scores are multiplied by the inverse root of a key's width, and by what
    YaRN's ``mscale_all_dim`` asks for.
    """

    heads: int
    key_width: int
    value_width: int
    rank: int
    position: Rotary
    norm: Norm
    query_rank: int | None = None
    bias: bool = False
    causal: bool = True
    dropout: float = 0.0


@part
class StateSpace:
    """Mamba 2's mixer (Dao and Gu 2024, arXiv:2405.21060): each head writes tokens to a state, which decays.

    The states have ``state`` channels beside those of the head; ``groups`` of heads share what they write to and read
    from. Before that, a convolution sees the last ``kernel`` tokens. The length of a token's step is kept within
    ``step_limits``; ``first_steps`` are the shortest and longest of a new model. ``norm`` acts on each group's gated
    values. ``chunk`` tokens are mixed in one product, and states are handed on from chunk to chunk.
    """

    heads: int
    head_width: int
    state: int
    groups: int
    norm: RMSNorm
    kernel: int = 4
    chunk: int = 256
    activation: str = "silu"
    bias: bool = False
    conv_bias: bool = True
    step_limits: tuple[float, float] = (0.0, inf)
    first_steps: tuple[float, float] = (0.001, 0.1)
    causal: ClassVar[bool] = True
    position: ClassVar[None] = None


Mixer = Attention | LatentAttention | Disentangled | StateSpace

# --- channel mixers -----------------------------------------------------------------------------------------------


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

# --- layers -------------------------------------------------------------------------------------------------------


@part
class PreNorm:
    """``x + f(norm(x))`` for every part."""

    norm: Norm


@part
class FirstPreNorm:
    """``PreNorm`` of a first layer whose input is normed already: its token mixer has no norm."""

    norm: Norm


@part
class Float32PreNorm:
    """``PreNorm`` with sums in float32, whatever the parameters are; the stack's last norm leads back."""

    norm: RMSNorm


@part
class PostNorm:
    """``norm(x + f(x))`` for every part."""

    norm: Norm


@part
class Sandwich:
    """``x + norm(f(norm(x)))`` for every part (Ding et al. 2021, arXiv:2105.13290)."""

    norm: Norm


@part
class NormedResidual:
    """``norm(x) + f(norm(x))`` for every part."""

    norm: Norm


@part
class Parallel:
    """``x + mixer(norm(x)) + mlp(norm(x))``: both parts read one norm (Wang and Komatsuzaki 2021, GPT-J)."""

    norm: Norm


@part
class ParallelNorms:
    """``x + mixer(norm(x)) + mlp(norm'(x))``: each part reads its own norm (Black et al. 2022, arXiv:2204.06745)."""

    norm: Norm


@part
class ScaledPreNorm:
    """``x + scale * f(norm(x))`` with learned scales (LayerScale, Touvron et al. 2021, arXiv:2103.17239).

    Scales start from ``initial``. ``skip`` is how likely a row skips a part while training (Huang et al. 2016,
    arXiv:1603.09382).
    """

    norm: Norm
    initial: float = 1.0
    skip: float = 0.0


Residual = (
    PreNorm
    | FirstPreNorm
    | Float32PreNorm
    | PostNorm
    | Sandwich
    | NormedResidual
    | Parallel
    | ParallelNorms
    | ScaledPreNorm
)


@part
class Layer:
    """A token mixer, an optional look at a memory, and an optional channel mixer, each in a residual branch."""

    mixer: Mixer
    mlp: ChannelMixer | None
    residual: Residual
    cross: Attention | None = None
    dropout: float = 0.0


@part
class ConvolvedLayer:
    """A layer whose output is joined by a convolution over its input: ``norm(layer(x) + act(conv(x)))``."""

    layer: Layer
    kernel: int
    groups: int
    activation: str
    norm: Norm


# --- inputs -------------------------------------------------------------------------------------------------------


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


# --- backbones ----------------------------------------------------------------------------------------------------


@part
class Stack:
    """Layers over an input. ``order`` names the layer run at each step where layers are shared.

    ``out`` is the width that a linear layer without bias brings the last states to (None: they keep ``width``).
    ``records`` says which hidden states callers are shown before the last ones: the "inputs" of layers, or "outputs".
    """

    width: int
    embed: Embed | Patches
    layers: tuple[Layer | ConvolvedLayer, ...]
    norm: Norm | None = None
    order: tuple[int, ...] | None = None
    dropout: float = 0.0
    out: int | None = None
    records: str = "inputs"

    def __post_init__(self) -> None:
        for layer in self.layers:
            mixer = mixer_of(layer)
            if isinstance(mixer, Disentangled) or (isinstance(mixer, Attention) and mixer.head_width is None):
                head_width(self.width, mixer.heads)


@part
class Encoder:
    """A bidirectional text backbone; ``norm`` acts after the states that are recorded."""

    stack: Stack
    pooler: AnyPooler | None = None
    norm: Norm | None = None


@part
class Decoder:
    """A causal text backbone; ``norm`` acts after the states that are recorded."""

    stack: Stack
    pooler: AnyPooler | None = None
    norm: Norm | None = None


@part
class StartToken:
    """A decoder starts with the config's ``decoder_start_token_id``, or else with its padding token."""


@part
class LastTokenFirst:
    """A decoder starts with the last token of the text that it is to write: mBART's name of the language."""


@part
class EncoderDecoder:
    """Two stacks; with ``shared`` they read one token table of the backbone's own."""

    encoder: Stack
    decoder: Stack
    shared: bool = True
    start: StartToken | LastTokenFirst = StartToken()


@part
class VisionEncoder:
    """A bidirectional image backbone; ``norm`` acts after the states that are recorded."""

    stack: Stack
    norm: Norm | None = None
    pooler: AnyPooler | None = None


@part
class TwoTowers:
    """A text and an image backbone whose pooled vectors are compared (Radford et al. 2021, arXiv:2103.00020)."""

    text: Encoder | Decoder
    vision: VisionEncoder


Backbone = Encoder | Decoder | EncoderDecoder | VisionEncoder | TwoTowers

# --- heads: what they read and what they make of it ---------------------------------------------------------------


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


@part
class Dense:
    """A hidden layer of a head: linear, activation and, where given, a norm. ``width`` None keeps the width."""

    activation: str
    width: int | None = None
    norm: Norm | None = None
    bias: bool = True


@part
class Predict:
    """Read, an optional hidden layer, and a linear layer to the labels."""

    read: Read
    dense: Dense | None = None
    bias: bool = True
    dropout: float = 0.0


@part
class Vocabulary:
    """A linear layer to the vocabulary, tied to the token table by ``tie``.

    ``tie`` is "always", "never", or "if_absent": tied only where the file brings no tensor of its own; None follows
    the config's ``tie_word_embeddings``.
    ``offset`` adds a stored, untrained row to the logits; ``scale`` multiplies the states before them; ``softcap``
    bounds them by ``cap * tanh(logit / cap)``.
    """

    read: Read = EveryToken()
    dense: Dense | None = None
    bias: bool = False
    tie: str | None = None
    offset: bool = False
    scale: float = 1.0
    softcap: float | None = None


@part
class SentencePairPretraining:
    """BERT's and ALBERT's objective: masked tokens and a relation of two sentences, the losses added.

    ``lm`` None is the family's masked language model. ``label`` names the argument of the relation's labels and
    ``logits`` its field in the output.
    """

    lm: Vocabulary | None = None
    pair: Predict = Predict(Pooled())
    label: str = "next_sentence_label"
    logits: str = "seq_relationship_logits"


@part
class ReplacedTokenDetection:
    """ELECTRA's objective (Clark et al. 2020, arXiv:2003.10555): one logit a token, was it replaced?"""

    dense: Dense


@part
class Project:
    """A linear layer without bias from the pooled vector to one of ``width`` that is compared with others."""

    width: int
    read: Read = Pooled()


@part
class Taught:
    """Two linear layers to the labels, for ``read`` and for ``taught``, which learned from a teacher; their mean."""

    read: Read
    taught: Read


@part
class SoftmaxContrast:
    """CLIP's objective: texts and images, projected to ``width``, each pick their counterpart from the batch.

    The logarithm of what multiplies their cosines starts from ``scale``.
    """

    width: int
    scale: float


@part
class SigmoidContrast:
    """SigLIP's objective (Zhai et al. 2023, arXiv:2303.15343): each pair of text and image is judged by itself."""


Recipe = (
    Predict
    | Vocabulary
    | SentencePairPretraining
    | ReplacedTokenDetection
    | Project
    | Taught
    | SoftmaxContrast
    | SigmoidContrast
)


def head_width(width: int, heads: int) -> int:
    """Channels of one of ``heads`` that share ``width`` evenly; raises ``ConfigError`` where they cannot."""
    if heads < 1 or width % heads:
        raise ConfigError(
            f"{width} channels cannot be shared by {heads} attention heads evenly; change one of the two."
        )
    return width // heads


def decoding(layer: Layer) -> Layer:
    """``layer`` in a decoder: each token sees those before it and, through a mixer of the same shape, the memory."""
    assert isinstance(layer.mixer, Attention)
    return replace(layer, mixer=replace(layer.mixer, causal=True), cross=replace(layer.mixer, position=None))


def alibi_slopes(heads: int) -> tuple[float, ...]:
    """Press et al.'s slopes: 2 ** (-8 i / n) for n heads, a power of 2; further heads get every other one of 2 n."""
    power = 1 << heads.bit_length() - 1
    first = (2 ** (-8 * i / power) for i in range(1, power + 1))
    return (*first, *(2 ** (-4 * i / power) for i in range(1, 2 * (heads - power), 2)))


def repeat(layer: Layer, count: int) -> tuple[Layer, ...]:
    """``count`` equal layers."""
    return (layer,) * count


def windowed(layer: Layer, windows: Iterable[int | None]) -> tuple[Layer, ...]:
    """``layer`` once for each of ``windows``, with that window."""
    assert isinstance(layer.mixer, Attention)
    return tuple(replace(layer, mixer=replace(layer.mixer, window=window)) for window in windows)


def mixer_of(layer: Layer | ConvolvedLayer) -> Mixer:
    """The token mixer of ``layer``."""
    return layer.layer.mixer if isinstance(layer, ConvolvedLayer) else layer.mixer


def with_mlps(decoder: Decoder, mlps: Iterable[ChannelMixer]) -> Decoder:
    """``decoder`` with another channel mixer in each layer."""
    pairs = zip(decoder.stack.layers, mlps, strict=True)
    layers = tuple(replace(layer, mlp=mlp) for layer, mlp in pairs if isinstance(layer, Layer))
    return Decoder(replace(decoder.stack, layers=layers))


def positions_of(layers: Iterable[Layer | ConvolvedLayer]) -> tuple[Position, ...]:
    """The distinct positions that ``layers`` name, in order of first use: a stack computes each once a pass."""
    found: dict[Position, None] = {}
    for layer in layers:
        position = mixer_of(layer).position
        if position is not None:
            found[position] = None
    return tuple(found)
