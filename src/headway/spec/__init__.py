"""What a network can be made of: frozen dataclasses that a family's ``architecture`` puts together.

A spec says *what* a network is and never *how* it is computed; ``nn.build`` turns it into modules. Variation is a
type, not a flag: a new variant is one dataclass here and one builder registered beside the module that it builds.
All of it is standard library only, so that families can be read and inspected without torch.
"""

from headway.spec.backbones import (
    SIDES,
    Backbone,
    Decoder,
    Encoder,
    EncoderDecoder,
    LastTokenFirst,
    Stack,
    StartToken,
    TwoTowers,
    VisionEncoder,
    with_mlps,
)
from headway.spec.heads import (
    Dense,
    Predict,
    Project,
    Recipe,
    ReplacedTokenDetection,
    SentencePairPretraining,
    SigmoidContrast,
    SoftmaxContrast,
    Taught,
    Vocabulary,
)
from headway.spec.inputs import (
    Embed,
    Patches,
    Projection,
    ProjectSum,
    ProjectTokens,
    Rounded,
    TokenDropout,
    TokenTypes,
    TypesAsTokens,
)
from headway.spec.layers import (
    ConvolvedLayer,
    FirstPreNorm,
    Float32PreNorm,
    Layer,
    NormedResidual,
    Parallel,
    ParallelNorms,
    PostNorm,
    PreNorm,
    Residual,
    Sandwich,
    ScaledPreNorm,
    decoding,
    mixer_of,
    positions_of,
    repeat,
    windowed,
)
from headway.spec.mixers import Attention, Disentangled, LatentAttention, Mixer, StateSpace, head_width
from headway.spec.mlps import (
    ChannelMixer,
    ClampedGatedMlp,
    GatedMlp,
    Groups,
    MixtureOfExperts,
    Mlp,
    Router,
    SigmoidRouter,
    SoftmaxRouter,
    TokenGatedMlp,
)
from headway.spec.norms import BareLayerNorm, BiasFreeLayerNorm, LayerNorm, Norm, RMSNorm, ZeroCenteredRMSNorm
from headway.spec.part import part
from headway.spec.positions import (
    Alibi,
    GridBias,
    LayerBias,
    Learned,
    Position,
    RelativeBias,
    RelativeTable,
    RopeDynamic,
    RopeLinear,
    RopeLlama3,
    RopeLong,
    RopeScaling,
    RopeYarn,
    Rotary,
    RoundedAlibi,
    Sinusoidal,
    StoredRotary,
    alibi_slopes,
)
from headway.spec.reads import (
    AnyPooler,
    DecoderTokens,
    EncoderTokens,
    EveryToken,
    FirstOf,
    FirstToken,
    HighestId,
    Joined,
    LastEos,
    LastToken,
    Mean,
    NthToken,
    Pooled,
    Pooler,
    ProbePooler,
    Read,
)
