"""What each family's checkpoints leave unsaid about their tokenizer: its special tokens, its inputs, its file format.

Checkpoints of 2019 hold a vocabulary and little more; the rest is known by the name of the family alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headway.tokenization import forms, languages
from headway.tokenization.forms import Form, Listed
from headway.tokenization.languages import Languages

Reader = Literal["wordpiece", "byte-level", "sentencepiece", "numbered", "two-sided", "letters", "bytes"]

_BASE = ("input_ids", "attention_mask")
_WITH_TYPES = ("input_ids", "token_type_ids", "attention_mask")


@dataclass(frozen=True)
class Kind:
    """A kind of tokenizer: default special tokens, the names of the model's inputs and how its old files are read.

    ``reader`` is None where the old files are of a format of their own. ``two_separators`` says that pairs are
    written ``<s> a </s></s> b </s>``, with all token types 0, as RoBERTa does. ``form`` arranges sentencepiece files.
    """

    specials: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = _BASE
    reader: Reader | None = None
    two_separators: bool = False
    form: Form | None = None
    languages: Languages | None = None

    def added(self, config: Mapping[str, Any]) -> list[str]:
        """Return the tokens that the family itself adds to a vocabulary."""
        parts = self.form.after if self.form else ()
        return [name for part in parts if not isinstance(part, Listed) for name in part.tokens(config, ())]


def _roles(**tokens: str) -> dict[str, str]:
    return {f"{role}_token": token for role, token in tokens.items()}


_BERT = _roles(unk="[UNK]", sep="[SEP]", pad="[PAD]", cls="[CLS]", mask="[MASK]")
_ANGLES = _roles(bos="<s>", eos="</s>", unk="<unk>", sep="</s>", pad="<pad>", cls="<s>", mask="<mask>")
_END = _roles(bos="<|endoftext|>", eos="<|endoftext|>", unk="<|endoftext|>")
_LLAMA = _roles(bos="<s>", eos="</s>", unk="<unk>")
_ALBERT = {**_BERT, **_roles(bos="[CLS]", eos="[SEP]", unk="<unk>", pad="<pad>")}
_T5 = _roles(eos="</s>", unk="<unk>", pad="<pad>")
_DEBERTA = {**_BERT, **_roles(bos="[CLS]", eos="[SEP]")}
_GEMMA = _roles(bos="<bos>", eos="<eos>", unk="<unk>", pad="<pad>", mask="<mask>")
_XLNET = {**_ANGLES, **_roles(sep="<sep>", cls="<cls>")}

BERT = Kind(_BERT, _WITH_TYPES, "wordpiece")
ROBERTA = Kind(_ANGLES, _BASE, "byte-level", two_separators=True)
GPT2 = Kind(_END, _BASE, "byte-level")


def _pieces(specials: Mapping[str, str], form: Form, inputs: tuple[str, ...] = _BASE, **more: Any) -> Kind:
    return Kind(specials, inputs, "sentencepiece", form=form, **more)


_FAMILIES: dict[str, Kind] = {
    "bert electra mobilebert convbert funnel squeezebert layoutlm splinter lxmert visualbert retribert realm": BERT,
    "distilbert": Kind(_BERT, _BASE, "wordpiece"),
    "mpnet": Kind({**_ANGLES, "unk_token": "[UNK]"}, _BASE, "wordpiece", two_separators=True),
    "esm": Kind(_roles(unk="<unk>", cls="<cls>", pad="<pad>", mask="<mask>", eos="<eos>"), _BASE, "letters"),
    "roberta bart longformer led robertaprelayernorm": ROBERTA,
    "deberta": Kind(_DEBERTA, _WITH_TYPES, "byte-level", form=forms.DEBERTA),
    "modernbert": Kind(_BERT),
    "gpt2 gptneo gptj codegen gptbigcode starcoder2": GPT2,
    "opt": Kind(_roles(bos="</s>", eos="</s>", unk="</s>", pad="<pad>"), _BASE, "byte-level", form=forms.STARTED),
    "gptneox falcon": Kind(_END),
    "bloom": Kind(_roles(bos="<s>", eos="</s>", unk="<unk>", pad="<pad>")),
    "llama mistral mixtral codellama phi3": _pieces(_LLAMA, forms.STARTED),
    "gemma gemma2 gemma3 gemma3text": _pieces(_GEMMA, forms.STARTED),
    "t5 longt5 switchtransformers": _pieces(_T5, forms.T5),
    "mt5 umt5": _pieces(_T5, forms.MT5),
    "byt5": Kind(_T5, _BASE, "bytes", form=forms.BYT5),
    "pegasus bigbirdpegasus": _pieces({**_T5, **_roles(mask="<mask_2>")}, forms.PEGASUS),
    "albert": _pieces(_ALBERT, forms.ALBERT, _WITH_TYPES),
    "rembert": _pieces(_ALBERT, forms.BIG_BIRD, _WITH_TYPES),
    "bigbird": _pieces({**_ALBERT, **_roles(bos="<s>", eos="</s>")}, forms.BIG_BIRD),
    "fnet": _pieces(_ALBERT, forms.FNET, ("input_ids", "token_type_ids")),
    "debertav2": _pieces(_DEBERTA, forms.DEBERTA_V2, _WITH_TYPES),
    "xlnet": _pieces(_XLNET, forms.XLNET, _WITH_TYPES),
    "xlmroberta xlmrobertaxl": _pieces(_ANGLES, forms.XLM_ROBERTA),
    "camembert": _pieces(_ANGLES, forms.CAMEMBERT),
    "mbart": _pieces(_ANGLES, forms.MBART, languages=languages.MBART),
    "mbart50": _pieces(_ANGLES, forms.MBART50, languages=languages.MBART50),
    "nllb nllbmoe": _pieces(_ANGLES, forms.NLLB, languages=languages.NLLB),
    "m2m100": Kind(
        _roles(bos="<s>", eos="</s>", unk="<unk>", sep="</s>", pad="<pad>"),
        _BASE,
        "numbered",
        form=forms.M2M100,
        languages=languages.M2M100,
    ),
    "marian": Kind(_T5, _BASE, "two-sided", form=forms.MARIAN),
    "qwen2 qwen3 qwen2moe qwen3moe": Kind(_roles(eos="<|endoftext|>", unk="<|endoftext|>", pad="<|endoftext|>")),
    "phi": GPT2,
    "clip": Kind(_roles(bos="<|startoftext|>", eos="<|endoftext|>", unk="<|endoftext|>", pad="<|endoftext|>")),
    "whisper": Kind(_END),
}
# Names of classes that stand for no kind in particular.
GENERIC = frozenset({"PreTrainedTokenizerFast", "PreTrainedTokenizer", "TokenizersBackend", "Tokenizer"})
KINDS: dict[str, Kind] = {name: kind for names, kind in _FAMILIES.items() for name in names.split()}


def kind_of(name: object) -> Kind | None:
    """Return the kind that a ``tokenizer_class`` or a ``model_type`` stands for, None if it says nothing."""
    if not isinstance(name, str):
        return None
    return KINDS.get(re.sub(r"tokenizer(fast)?$|[-_]", "", name.lower()))
