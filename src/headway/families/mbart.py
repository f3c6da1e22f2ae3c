"""mBART (Liu et al. 2020, arXiv:2001.08210): BART with pre-norm layers; each text ends in the name of its language."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.families import bart
from headway.registry import Family, register


class MBartConfig(bart.BartConfig):
    model_type = "mbart"
    decoder_start_token_id: int | None = None
    id2label: dict[int, str] | None = None


def architecture(c: Any) -> spec.EncoderDecoder:
    plain = bart.architecture(c, bart.PRE)
    return replace(plain, start=spec.LastTokenFirst())


register(Family(MBartConfig, "MBart", architecture, bart.names, bart.heads))
