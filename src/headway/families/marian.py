"""Marian (Junczys-Dowmunt et al. 2018, arXiv:1804.00344): translators as BART, with computed positions."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.families import bart
from headway.names import Names
from headway.registry import Family, register


class MarianConfig(bart.BartConfig):
    model_type = "marian"
    vocab_size: int = 58101
    decoder_vocab_size: int | None = None
    share_encoder_decoder_embeddings: bool = True
    pad_token_id: int | None = 58100
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = 0
    decoder_start_token_id: int | None = 58100
    forced_eos_token_id: int | list[int] | None = 0
    id2label: dict[int, str] | None = None


def architecture(c: Any) -> spec.EncoderDecoder:
    plain = bart.architecture(c, positions=spec.Sinusoidal(), embed_norm=None)
    if c.share_encoder_decoder_embeddings:
        return plain
    embed = replace(plain.decoder.embed, vocabulary=c.decoder_vocab_size or c.vocab_size)
    return replace(plain, decoder=replace(plain.decoder, embed=embed), shared=False)


# Files may hold the positions, which are computed here.
POSITIONS = tuple(f"{side}.embed_positions.{leaf}" for side in ("encoder", "decoder") for leaf in ("weight", "weights"))


def names(c: Any) -> Names:
    return bart.names(c, c.share_encoder_decoder_embeddings, POSITIONS)


register(Family(MarianConfig, "Marian", architecture, names, bart.heads, {"seq2seq-lm": "MarianMTModel"}))
