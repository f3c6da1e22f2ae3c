"""mT5 (Xue et al. 2020, arXiv:2010.11934): T5 version 1.1 in many languages."""

from typing import Any

from headway import spec
from headway.families import t5
from headway.registry import Family, register


class MT5Config(t5.T5Config):
    model_type = "mt5"
    vocab_size: int = 250112
    d_ff: int = 1024
    num_layers: int = 8
    num_heads: int = 6
    feed_forward_proj: str = "gated-gelu"
    decoder_start_token_id: int | None = 0


def heads(c: Any) -> dict[str, spec.Recipe]:
    # Whatever the config says of tying, a table of the output's own that lies in the file counts.
    return {"seq2seq-lm": spec.Vocabulary(tie="if_absent")}


register(Family(MT5Config, "MT5", t5.architecture, t5.names, heads))
