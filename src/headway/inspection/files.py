"""What the files beside the weights tell: the tokenizer's, its chat template, and the card."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from headway.io.source import Source

CARD = "README.md"
# Keys of a card's front matter, by what they are called here.
_SAID = ("license", "pipeline_tag", "library_name", "language", "base_model", "datasets", "tags")
_KIND = re.compile(rb'"model":\s*\{\s*"type":\s*"(\w+)"')
_LOOK = 400_000
# The first of these that is there says in which form the vocabulary is kept.
_VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "vocab.json",
    "vocab.txt",
)


@dataclass(frozen=True)
class TokenizerFacts:
    """What is known of a tokenizer without its vocabulary.

    ``kind`` is how it cuts texts, where its file begins with that; ``longest`` the tokens that it says the model takes;
    ``template`` how a chat is written, by the name of the template.
    """

    file: str | None
    name: str | None
    kind: str | None
    longest: int | None
    special: dict[str, str]
    template: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """As plain values; templates are told by their length and by what they know of."""
        templates = {
            name: {"characters": len(text), "tools": "tools" in text, "documents": "documents" in text}
            for name, text in self.template.items()
        }
        return {
            "file": self.file,
            "class": self.name,
            "kind": self.kind,
            "model_max_length": self.longest,
            "special_tokens": self.special,
            "chat_templates": templates,
        }


def tokenizer_facts(source: Source) -> TokenizerFacts | None:
    """What the tokenizer's small files say; None where there are none."""
    from headway.tokenization.settings import read_settings

    file, start = None, None
    for name in _VOCABULARIES:
        start = source.start_of(name, _LOOK if name == "tokenizer.json" else 1)
        if start is not None:
            file = name
            break
    settings = read_settings(source, {})
    if file is None and not settings.config:
        return None
    kind = _KIND.search(start.data) if start is not None else None
    longest = settings.config.get("model_max_length")
    templates = settings.templates
    return TokenizerFacts(
        file=file,
        name=settings.config.get("tokenizer_class"),
        kind=None if kind is None else kind[1].decode(),
        longest=int(longest) if isinstance(longest, int | float) and longest < 10**9 else None,
        special={role: _text(token) for role, token in settings.roles.items() if token is not None},
        template={"default": templates} if isinstance(templates, str) else dict(templates or {}),
    )


def _text(token: Any) -> str:
    return str(token.get("content") if isinstance(token, dict) else getattr(token, "content", token))


def card_facts(source: Source) -> dict[str, Any]:
    """What the front matter of the model's card says, as far as it is for everyone; empty where there is none."""
    if (path := source.find(CARD)) is None:
        return {}
    text = path.read_text("utf-8", errors="replace")
    found = re.match(r"---\s*\n(.*?)\n---\s*(\n|$)", text, re.DOTALL)
    if found is None:
        return {}
    import yaml

    values: Any = None
    # A card is written by hand: a broken one is no reason not to look at the model.
    with suppress(yaml.YAMLError):
        values = yaml.load(found[1], getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if not isinstance(values, dict):
        return {}
    return {name: values[name] for name in _SAID if values.get(name)}
