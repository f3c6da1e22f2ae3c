"""What a network can be made of: frozen dataclasses that a family's ``architecture`` puts together.

A spec says *what* a network is and never *how* it is computed; ``nn.build`` turns it into modules. Variation is a
type, not a flag: a new variant is one dataclass here and one builder registered beside the module that it builds.
This module is standard library only, so that families can be read and inspected without torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import log

from headway.errors import ConfigError

# --- norms: the width is that of the place where they stand -------------------------------------------------------


@dataclass(frozen=True)
class LayerNorm:
    """Ba et al. 2016, arXiv:1607.06450."""

    eps: float


@dataclass(frozen=True)
class RMSNorm:
    """Zhang and Sennrich 2019, arXiv:1910.07467; computed in float32."""

    eps: float


@dataclass(frozen=True)
class ZeroCenteredRMSNorm:
    """Gemma's RMSNorm (arXiv:2403.08295), which multiplies by one plus its weight; all of it in float32."""

    eps: float


Norm = LayerNorm | RMSNorm | ZeroCenteredRMSNorm

# --- positions ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Learned:
    """A table of ``count`` position vectors; the first token of a row reads row ``offset`` of it."""

    count: int
    offset: int = 0


@dataclass(frozen=True)
class Sinusoidal:
    """Computed vectors, sines before cosines (Vaswani et al. 2017, arXiv:1706.03762), for rows of any length.

    The first token of a row stands at position ``offset``; wavelengths grow from 2 pi towards 2 pi ``theta``.
    """

    offset: int = 0
    theta: float = 10000.0


@dataclass(frozen=True)
class RopeLinear:
    """Position interpolation (Chen et al. 2023, arXiv:2306.15595)."""

    factor: float


@dataclass(frozen=True)
class RopeDynamic:
    """NTK-aware base that grows with the sequence beyond ``original`` positions."""

    factor: float
    original: int


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class RopeLong:
    """LongRoPE (Ding et al. 2024, arXiv:2402.13753): ``short`` up to ``original`` positions, ``long`` beyond."""

    short: tuple[float, ...]
    long: tuple[float, ...]
    original: int
    attention_factor: float


@dataclass(frozen=True)
class RopeLlama3:
    """Llama 3.1's scaling of the low frequencies alone."""

    factor: float
    low: float
    high: float
    original: int


RopeScaling = RopeLinear | RopeDynamic | RopeYarn | RopeLong | RopeLlama3


@dataclass(frozen=True)
class Rotary:
    """Rotary positions (Su et al. 2021, arXiv:2104.09864) on the first ``width`` channels of each head, in halves."""

    width: int
    theta: float = 10000.0
    scaling: RopeScaling | None = None


@dataclass(frozen=True)
class RelativeBias:
    """T5's bucketed bias (Raffel et al. 2020, arXiv:1910.10683), one table for all layers that name it."""

    heads: int
    buckets: int
    max_distance: int
    bidirectional: bool


@dataclass(frozen=True)
class LayerBias:
    """A bias that ``layer`` has to itself, where layers that name an equal one would share it."""

    bias: RelativeBias
    layer: int


@dataclass(frozen=True)
class RelativeTable:
    """DeBERTa's table of relative positions (He et al. 2021, arXiv:2006.03654), read by ``Disentangled``.

    Distances up to ``span`` keep a row each; with ``log_until`` they are bucketed on a log scale up to there.
    """

    width: int
    span: int
    log_until: int | None = None
    norm: Norm | None = None


Position = Rotary | RelativeBias | LayerBias | RelativeTable

# --- token mixers -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attention:
    """Multi-head attention; ``kv_heads`` fewer than ``heads`` shares keys and values among groups.

    ``window`` counts the visible positions, the query's own included. ``scale`` multiplies the scores
    (None: ``head_width ** -0.5``). ``dropout`` acts on the attention weights. ``qk_norm`` acts on each head's queries
    and keys before their positions. ``softcap`` bounds the scores by ``cap * tanh(score / cap)``. ``sinks`` adds to
    each head's softmax a learned score that carries no value (Xiao et al. 2023, arXiv:2309.17453).
    """

    heads: int
    head_width: int
    kv_heads: int | None = None
    bias: bool = True
    out_bias: bool | None = None
    causal: bool = False
    window: int | None = None
    scale: float | None = None
    position: Position | None = None
    dropout: float = 0.0
    qk_norm: Norm | None = None
    softcap: float | None = None
    sinks: bool = False


@dataclass(frozen=True)
class Disentangled:
    """DeBERTa's attention: scores from content, content to position and position to content.

    ``separate`` gives the position table its own key and query projections instead of the content's.
    """

    heads: int
    head_width: int
    table: RelativeTable
    content_to_position: bool = True
    position_to_content: bool = True
    separate: bool = False
    dropout: float = 0.0


@dataclass(frozen=True)
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


Mixer = Attention | LatentAttention | Disentangled

# --- channel mixers -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mlp:
    """Two linear layers with an activation between them."""

    width: int
    activation: str
    bias: bool = True
    dropout: float = 0.0


@dataclass(frozen=True)
class GatedMlp:
    """``down(act(gate(x)) * up(x))`` (Shazeer 2020, arXiv:2002.05202)."""

    width: int
    activation: str
    bias: bool = False
    dropout: float = 0.0


@dataclass(frozen=True)
class ClampedGatedMlp:
    """``down((up(x) + 1) * gate(x) * sigmoid(alpha * gate(x)))``, both sides clamped (gpt-oss, arXiv:2508.10925).

    ``limit`` bounds the gate from above and the other side from both.
    """

    width: int
    alpha: float
    limit: float
    bias: bool = True
    dropout: float = 0.0


@dataclass(frozen=True)
class TokenGatedMlp:
    """``sigmoid(gate(x)) * mlp(x)``, the gate one number a token."""

    mlp: GatedMlp


@dataclass(frozen=True)
class Groups:
    """Experts stand in ``count`` equal groups, of which the best ``top`` are open to a token (arXiv:2405.04434)."""

    count: int
    top: int


@dataclass(frozen=True)
class SoftmaxRouter:
    """Each token goes to the ``top`` likeliest experts, weighed by their probabilities times ``scale``.

    ``renormalise`` makes the chosen probabilities sum to one. A group is as good as its best expert.
    """

    top: int
    renormalise: bool = True
    bias: bool = False
    groups: Groups | None = None
    scale: float = 1.0


@dataclass(frozen=True)
class SigmoidRouter:
    """Each expert is likely on its own (DeepSeek-AI 2024, arXiv:2412.19437), else as ``SoftmaxRouter``.

    A stored correction counts in the choice and not in the weights. A group is as good as its best two experts.
    """

    top: int
    renormalise: bool = True
    groups: Groups | None = None
    scale: float = 1.0


Router = SoftmaxRouter | SigmoidRouter


@dataclass(frozen=True)
class MixtureOfExperts:
    """``count`` sparse experts (Shazeer et al. 2017, arXiv:1701.06538), and one that every token goes to, if any."""

    expert: GatedMlp | ClampedGatedMlp | Mlp
    count: int
    router: Router
    shared: GatedMlp | TokenGatedMlp | None = None


ChannelMixer = Mlp | GatedMlp | ClampedGatedMlp | TokenGatedMlp | MixtureOfExperts

# --- layers -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PreNorm:
    """``x + f(norm(x))`` for every part."""

    norm: Norm


@dataclass(frozen=True)
class PostNorm:
    """``norm(x + f(x))`` for every part."""

    norm: Norm


@dataclass(frozen=True)
class Sandwich:
    """``x + norm(f(norm(x)))`` for every part (Ding et al. 2021, arXiv:2105.13290)."""

    norm: Norm


Residual = PreNorm | PostNorm | Sandwich


@dataclass(frozen=True)
class Layer:
    """A token mixer, an optional look at a memory, and a channel mixer, each in a residual branch."""

    mixer: Mixer
    mlp: ChannelMixer
    residual: Residual
    cross: Attention | None = None
    dropout: float = 0.0


@dataclass(frozen=True)
class ConvolvedLayer:
    """A layer whose output is joined by a convolution over its input: ``norm(layer(x) + act(conv(x)))``."""

    layer: Layer
    kernel: int
    groups: int
    activation: str
    norm: Norm


# --- inputs -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TokenTypes:
    """A table of ``count`` segment vectors; rows that name no segment read row 0."""

    count: int


@dataclass(frozen=True)
class TypesAsTokens:
    """Segment ids are looked up in the token table; rows that name no segment add nothing."""


@dataclass(frozen=True)
class Rounded:
    """A factor that is rounded to the dtype of what it multiplies before it does."""

    value: float


@dataclass(frozen=True)
class Embed:
    """Token ids to vectors of ``width`` channels, projected to the stack's width where that differs.

    ``scale`` multiplies the token vectors before positions and types are added.
    """

    vocabulary: int
    width: int
    positions: Learned | Sinusoidal | None = None
    types: TokenTypes | TypesAsTokens | None = None
    norm: Norm | None = None
    scale: float | Rounded = 1.0
    dropout: float = 0.0


@dataclass(frozen=True)
class Patches:
    """An image cut into square patches by a strided convolution, after a class token, plus learned positions."""

    image: tuple[int, int]
    patch: tuple[int, int]
    channels: int
    width: int
    dropout: float = 0.0


@dataclass(frozen=True)
class Pooler:
    """A dense layer and an activation over the first position."""

    width: int
    activation: str = "tanh"


# --- backbones ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stack:
    """Layers over an input. ``order`` names the layer run at each step where layers are shared."""

    width: int
    embed: Embed | Patches
    layers: tuple[Layer | ConvolvedLayer, ...]
    norm: Norm | None = None
    order: tuple[int, ...] | None = None
    dropout: float = 0.0


@dataclass(frozen=True)
class Encoder:
    """A bidirectional text backbone."""

    stack: Stack
    pooler: Pooler | None = None


@dataclass(frozen=True)
class Decoder:
    """A causal text backbone."""

    stack: Stack


@dataclass(frozen=True)
class StartToken:
    """A decoder starts with the config's ``decoder_start_token_id``, or else with its padding token."""


@dataclass(frozen=True)
class LastTokenFirst:
    """A decoder starts with the last token of the text that it is to write: mBART's name of the language."""


@dataclass(frozen=True)
class EncoderDecoder:
    """Two stacks; with ``shared`` they read one token table of the backbone's own."""

    encoder: Stack
    decoder: Stack
    shared: bool = True
    start: StartToken | LastTokenFirst = StartToken()


@dataclass(frozen=True)
class VisionEncoder:
    """A bidirectional image backbone; ``norm`` acts after the states that are recorded."""

    stack: Stack
    norm: Norm
    pooler: Pooler | None = None


Backbone = Encoder | Decoder | EncoderDecoder | VisionEncoder

# --- heads: what they read and what they make of it ---------------------------------------------------------------


@dataclass(frozen=True)
class EveryToken:
    """Each position of the last stack."""


@dataclass(frozen=True)
class EncoderTokens:
    """Each position of the encoder; the decoder is not built."""


@dataclass(frozen=True)
class DecoderTokens:
    """Each position of the decoder; the encoder is not built."""


@dataclass(frozen=True)
class FirstToken:
    """The first real position of a row."""


@dataclass(frozen=True)
class LastToken:
    """The last real position of a row."""


@dataclass(frozen=True)
class LastEos:
    """The position of the last end-of-sequence token of a row."""


@dataclass(frozen=True)
class Pooled:
    """The backbone's pooler."""


Read = EveryToken | EncoderTokens | DecoderTokens | FirstToken | LastToken | LastEos | Pooled


@dataclass(frozen=True)
class Dense:
    """A hidden layer of a head: linear, activation and, where given, a norm. ``width`` None keeps the width."""

    activation: str
    width: int | None = None
    norm: Norm | None = None
    bias: bool = True


@dataclass(frozen=True)
class Predict:
    """Read, an optional hidden layer, and a linear layer to the labels."""

    read: Read
    dense: Dense | None = None
    bias: bool = True
    dropout: float = 0.0


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class SentencePairPretraining:
    """BERT's and ALBERT's objective: masked tokens and a relation of two sentences, the losses added.

    ``label`` names the argument of the relation's labels and ``logits`` its field in the output.
    """

    lm: Vocabulary
    pair: Predict
    label: str = "next_sentence_label"
    logits: str = "seq_relationship_logits"


@dataclass(frozen=True)
class ReplacedTokenDetection:
    """ELECTRA's objective (Clark et al. 2020, arXiv:2003.10555): one logit a token, was it replaced?"""

    dense: Dense


Recipe = Predict | Vocabulary | SentencePairPretraining | ReplacedTokenDetection


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


def repeat(layer: Layer, count: int) -> tuple[Layer, ...]:
    """``count`` equal layers."""
    return (layer,) * count


def windowed(layer: Layer, windows: Iterable[int | None]) -> tuple[Layer, ...]:
    """``layer`` once for each of ``windows``, with that window."""
    assert isinstance(layer.mixer, Attention)
    return tuple(replace(layer, mixer=replace(layer.mixer, window=window)) for window in windows)


def with_mlps(decoder: Decoder, mlps: Iterable[ChannelMixer]) -> Decoder:
    """``decoder`` with another channel mixer in each layer."""
    pairs = zip(decoder.stack.layers, mlps, strict=True)
    layers = tuple(replace(layer, mlp=mlp) for layer, mlp in pairs if isinstance(layer, Layer))
    return Decoder(replace(decoder.stack, layers=layers))


def positions_of(layers: Iterable[Layer | ConvolvedLayer]) -> tuple[Position, ...]:
    """The distinct positions that ``layers`` name, in order of first use: a stack computes each once a pass."""
    found: dict[Position, None] = {}
    for layer in layers:
        inner = layer.layer if isinstance(layer, ConvolvedLayer) else layer
        position = inner.mixer.table if isinstance(inner.mixer, Disentangled) else inner.mixer.position
        if position is not None:
            found[position] = None
    return tuple(found)
