"""PEGASUS (Zhang et al. 2019, arXiv:1912.08777): BART with pre-norm layers and computed positions."""

from typing import Any

from headway import spec
from headway.families import bart, marian
from headway.names import Names
from headway.registry import Family, register


class PegasusConfig(bart.BartConfig):
    model_type = "pegasus"
    pad_token_id: int | None = 0
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = 1
    decoder_start_token_id: int | None = 0
    forced_eos_token_id: int | list[int] | None = 1
    id2label: dict[int, str] | None = None


def architecture(c: Any) -> spec.EncoderDecoder:
    return bart.architecture(c, bart.PRE, spec.Sinusoidal(), embed_norm=None)


def names(c: Any) -> Names:
    return bart.names(c, ignore=marian.POSITIONS)


register(Family(PegasusConfig, "Pegasus", architecture, names, bart.heads))
