"""What each family's checkpoints leave unsaid about their tokenizer: its special tokens, its inputs, its file format.

Checkpoints of 2019 hold a vocabulary and little more; the rest is known by the name of the family alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Reader = Literal["wordpiece", "byte-level"]

_BASE = ("input_ids", "attention_mask")
_WITH_TYPES = ("input_ids", "token_type_ids", "attention_mask")


@dataclass(frozen=True)
class Kind:
    """A kind of tokenizer: default special tokens, the names of the model's inputs and how its old files are read.

    ``reader`` is None where the old files are of a format of their own. ``two_separators`` says that pairs are
    written ``<s> a </s></s> b </s>``, with all token types 0, as RoBERTa does.
    """

    specials: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = _BASE
    reader: Reader | None = None
    two_separators: bool = False


def _roles(**tokens: str) -> dict[str, str]:
    return {f"{role}_token": token for role, token in tokens.items()}


_BERT = _roles(unk="[UNK]", sep="[SEP]", pad="[PAD]", cls="[CLS]", mask="[MASK]")
_ANGLES = _roles(bos="<s>", eos="</s>", unk="<unk>", sep="</s>", pad="<pad>", cls="<s>", mask="<mask>")
_END = _roles(bos="<|endoftext|>", eos="<|endoftext|>", unk="<|endoftext|>")
_LLAMA = _roles(bos="<s>", eos="</s>", unk="<unk>")
_ALBERT = {**_BERT, **_roles(bos="[CLS]", eos="[SEP]", unk="<unk>", pad="<pad>")}
_T5 = _roles(eos="</s>", unk="<unk>", pad="<pad>")
_XLNET = {**_ANGLES, **_roles(sep="<sep>", cls="<cls>")}

BERT = Kind(_BERT, _WITH_TYPES, "wordpiece")
ROBERTA = Kind(_ANGLES, _BASE, "byte-level", two_separators=True)
GPT2 = Kind(_END, _BASE, "byte-level")

_FAMILIES: dict[str, Kind] = {
    "bert electra mobilebert convbert funnel squeezebert layoutlm splinter lxmert visualbert retribert realm": BERT,
    "distilbert": Kind(_BERT, _BASE, "wordpiece"),
    "mpnet": Kind({**_ANGLES, "unk_token": "[UNK]"}, _BASE, "wordpiece", two_separators=True),
    "roberta bart longformer led robertaprelayernorm": ROBERTA,
    "gpt2 gptneo gptj codegen gptbigcode": GPT2,
    "opt": Kind(_roles(bos="</s>", eos="</s>", unk="</s>", pad="<pad>"), _BASE, "byte-level"),
    "gptneox": Kind(_END),
    "llama mistral mixtral codellama": Kind(_LLAMA),
    "t5 mt5 umt5 longt5 switchtransformers": Kind(_T5),
    "pegasus": Kind({**_T5, **_roles(mask="<mask_2>")}),
    "albert": Kind(_ALBERT, _WITH_TYPES),
    "rembert bigbird": Kind({**_ALBERT, **_roles(pad="[PAD]")}, _WITH_TYPES),
    "fnet": Kind(_ALBERT, ("input_ids", "token_type_ids")),
    "deberta debertav2": Kind({**_BERT, **_roles(bos="[CLS]", eos="[SEP]")}, _WITH_TYPES),
    "xlnet": Kind(_XLNET, _WITH_TYPES),
    "xlmroberta xlmrobertaxl camembert mbart mbart50": Kind(_ANGLES),
    "gemma gemma2 gemma3 gemma3text": Kind(_roles(bos="<bos>", eos="<eos>", unk="<unk>", pad="<pad>")),
    "qwen2 qwen3 qwen2moe qwen3moe": Kind(_roles(eos="<|endoftext|>", unk="<|endoftext|>", pad="<|endoftext|>")),
    "phi": GPT2,
    "phi3": Kind(_LLAMA),
    "marian": Kind(_T5),
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
