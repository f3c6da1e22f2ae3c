"""How families arrange a vocabulary file: which ids its pieces get, what is added, what stands around a text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headway.errors import TokenizerError
from headway.tokenization import frames
from headway.tokenization.frames import Ends, Frame
from headway.tokenization.languages import M2M100_CODES, MBART50_CODES, MBART_CODES

_NO_ENDS = Ends()


@dataclass(frozen=True)
class Fixed:
    """These tokens, with spaces between."""

    names: str

    def tokens(self, config: Mapping[str, Any], listed: Sequence[str]) -> Sequence[str]:
        """Return the tokens in the order of their ids."""
        return self.names.split()


@dataclass(frozen=True)
class Outside(Fixed):
    """These tokens, which the vocabulary proper does not count as its own."""


@dataclass(frozen=True)
class Sentinels:
    """T5's tokens for left-out spans, ``<extra_id_0>`` and so on; their number is the setting ``extra_ids``."""

    count: int
    falling: bool = True

    def tokens(self, config: Mapping[str, Any], listed: Sequence[str]) -> Sequence[str]:
        """Return the tokens in the order of their ids."""
        given = config.get("extra_ids")
        names = [f"<extra_id_{number}>" for number in range(self.count if given is None else int(given))]
        return names[::-1] if self.falling else names


@dataclass(frozen=True)
class Listed:
    """The special tokens without a role that the files list."""

    def tokens(self, config: Mapping[str, Any], listed: Sequence[str]) -> Sequence[str]:
        """Return the tokens in the order of their ids."""
        if listed:
            return listed
        raise TokenizerError(
            "The ids of this tokenizer depend on the additional_special_tokens that its special_tokens_map.json lists: "
            "put it beside the vocabulary."
        )


@dataclass(frozen=True)
class LanguageSet:
    """M2M-100's languages, by the setting ``language_codes`` (arXiv:2010.11125)."""

    def tokens(self, config: Mapping[str, Any], listed: Sequence[str]) -> Sequence[str]:
        """Return the tokens in the order of their ids."""
        name = config.get("language_codes") or "m2m100"
        if name not in M2M100_CODES:
            raise TokenizerError(f"language_codes={name!r} is no known set: there are {', '.join(M2M100_CODES)}.")
        return [f"__{code}__" for code in M2M100_CODES[name].split()]


@dataclass(frozen=True)
class Start:
    """Ids go to these tokens first, then to the file's pieces from number ``piece`` on."""

    names: tuple[str, ...] = ()
    piece: int = 0

    def resolve(self, config: Mapping[str, Any]) -> "Start":
        """Return the start that ``config`` asks for."""
        return self


@dataclass(frozen=True)
class Reserved:
    """Pegasus's start: ``offset`` ids after the padding and the end are masks and tokens of no use."""

    def resolve(self, config: Mapping[str, Any]) -> Start:
        """Return the start that ``config`` asks for."""
        offset = config.get("offset", 103)
        unused = (f"<unk_{number}>" for number in range(2, offset))
        return Start(("<pad>", "</s>", "<mask_1>", "<mask_2>", *unused), 2) if offset else Start()


@dataclass(frozen=True)
class Plain:
    """Texts are read as sentencepiece reads them, in lower case if the setting ``do_lower_case`` says so."""


@dataclass(frozen=True)
class Cleaned:
    """ALBERT's and XLNet's texts: one kind of quotes, accents and case as set, and commas apart from digits.

    ``lower`` and ``accents`` are what the settings ``do_lower_case`` and ``keep_accents`` are where nothing is said.
    """

    lower: bool = False
    accents: bool = False


@dataclass(frozen=True)
class Form:
    """A family's arrangement of a sentencepiece file.

    Ids go as ``start`` says, and after the file's pieces to the tokens ``after``. ``lstrip`` says that the mask takes
    the space before it.
    """

    frame: Frame | Ends = _NO_ENDS
    start: Start | Reserved = Start()
    after: tuple[Fixed | Sentinels | Listed | LanguageSet, ...] = ()
    text: Plain | Cleaned = Plain()
    lstrip: bool = False


_FAIRSEQ = Start(("<s>", "<pad>", "</s>", "<unk>"), 3)
_NOT_USED = Start(("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"), 1)
_MASK = Fixed("<mask>")

T5 = Form(frames.END, after=(Sentinels(100),))
MT5 = Form(frames.END, after=(Sentinels(0),))
BYT5 = Form(frames.END, after=(Sentinels(125, falling=False),))
ALBERT = Form(frames.TYPED, text=Cleaned(lower=True), lstrip=True)
XLNET = Form(frames.CLASS_LAST, text=Cleaned(), lstrip=True)
FNET = Form(frames.TYPED, text=Cleaned(accents=True), lstrip=True)
BIG_BIRD = Form(frames.TYPED, lstrip=True)
DEBERTA = Form(frames.TYPED, lstrip=True)
DEBERTA_V2 = Form(frames.TYPED, after=(Outside("[MASK]"),))
XLM_ROBERTA = Form(frames.DOUBLE, _FAIRSEQ, (_MASK,), lstrip=True)
CAMEMBERT = Form(frames.DOUBLE, _NOT_USED, (_MASK,), lstrip=True)
MBART = Form(frames.LANGUAGE_LAST, _FAIRSEQ, (Fixed(MBART_CODES), _MASK), lstrip=True)
MBART50 = Form(frames.LANGUAGE_FIRST, _FAIRSEQ, (Fixed(MBART50_CODES), _MASK), lstrip=True)
NLLB = Form(frames.LANGUAGE_FIRST, _FAIRSEQ, (Listed(), _MASK), lstrip=True)
# The pieces' ids of these two come from vocab.json.
M2M100 = Form(frames.LANGUAGE_FIRST, after=(LanguageSet(),))
MARIAN = Form(frames.JOINED)
PEGASUS = Form(frames.JOINED, Reserved())
STARTED = Form(Ends(bos=True))
