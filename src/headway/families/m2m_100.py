"""M2M-100 (Fan et al. 2020, arXiv:2010.11125), NLLB-200 too: BART with pre-norm layers and computed positions."""

from typing import Any

from headway import spec
from headway.families import bart, pegasus
from headway.registry import Family, register


class M2M100Config(bart.BartConfig):
    model_type = "m2m_100"
    vocab_size: int = 128112
    activation_function: str = "relu"
    attention_dropout: float = 0.1
    scale_embedding: bool = True
    forced_eos_token_id: int | list[int] | None = None
    id2label: dict[int, str] | None = None


def architecture(c: Any) -> spec.EncoderDecoder:
    # Here the last of the wavelengths is 2 pi 10000, elsewhere the one that would come after it.
    half = c.d_model // 2
    positions = spec.Sinusoidal(offset=(c.pad_token_id or 0) + 1, theta=10000.0 ** (half / (half - 1)))
    return bart.architecture(c, bart.PRE, positions, embed_norm=None)


register(Family(M2M100Config, "M2M100", architecture, pegasus.names))
