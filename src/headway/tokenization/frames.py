"""What stands around texts, as data, and the post-processor that puts it there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer as Backend
from tokenizers import processors

from headway.errors import TokenizerError
from headway.tokenization.adjust import frame as add_ends


@dataclass(frozen=True)
class Frame:
    """What stands around one text and around two, as templates of the ``tokenizers`` library.

    Special tokens are named by their role in braces, ``{lang}`` is the language; ``:1`` says the token type.
    """

    single: str
    pair: str


@dataclass(frozen=True)
class Ends:
    """A beginning and an end as ``add_bos_token`` and ``add_eos_token`` say; what they are where nothing is said."""

    bos: bool = False
    eos: bool = False


END = Frame("$A {eos}", "$A {eos} $B {eos}")
JOINED = Frame("$A {eos}", "$A $B {eos}")
TYPED = Frame("{cls} $A {sep}", "{cls} $A {sep} $B:1 {sep}:1")
DOUBLE = Frame("{cls} $A {sep}", "{cls} $A {sep} {sep} $B {sep}")
CLASS_LAST = Frame("$A {sep} {cls}:2", "$A {sep} $B:1 {sep}:1 {cls}:2")
CLASS_TO_END = Frame("{cls} $A {eos}", "{cls} $A {eos} $B {eos}")
LANGUAGE_LAST = Frame("$A {eos} {lang}", "$A $B {eos} {lang}")
LANGUAGE_FIRST = Frame("{lang} $A {eos}", "{lang} $A $B {eos}")


def surround(backend: Backend, frame: Frame | Ends, tokens: Mapping[str, str], config: Mapping[str, Any]) -> None:
    """Let every text be framed; ``tokens`` are the special tokens by role, such as ``{"eos": "</s>"}``.

    Raises TokenizerError if the vocabulary lacks one that a Frame holds.
    """
    if isinstance(frame, Ends):
        bos = _token(backend, "bos", tokens) if _says(config, "bos", frame.bos) else None
        eos = _token(backend, "eos", tokens) if _says(config, "eos", frame.eos) else None
        add_ends(backend, bos, eos)
        return
    roles = dict.fromkeys(re.findall(r"{(\w+)}", frame.single + frame.pair))
    ids = {role: backend.token_to_id(tokens[role]) if role in tokens else None for role in roles}
    if lacking := [role for role, id in ids.items() if id is None]:
        raise TokenizerError(f"The vocabulary does not hold the {lacking[0]}_token, which every text needs.")
    single, pair = ([part.format(**tokens) for part in text.split()] for text in (frame.single, frame.pair))
    special = dict.fromkeys((tokens[role], id) for role, id in ids.items())
    backend.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=list(special))


def _says(config: Mapping[str, Any], role: str, default: bool) -> bool:
    given = config.get(f"add_{role}_token")
    return default if given is None else bool(given)


def _token(backend: Backend, role: str, tokens: Mapping[str, str]) -> tuple[str, int] | None:
    id = backend.token_to_id(tokens[role]) if role in tokens else None
    return None if id is None else (tokens[role], id)
