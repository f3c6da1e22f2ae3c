"""Changes to a tokenizer that is already built, where the user asks for something else than its file says."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tokenizers import Tokenizer as Backend
from tokenizers import processors

from headway.errors import TokenizerError

# What users set, by the type of the component that has it, and the component's own name for it.
_KEYS = {
    ("BertNormalizer", "do_lower_case"): "lowercase",
    ("BertNormalizer", "strip_accents"): "strip_accents",
    ("BertNormalizer", "tokenize_chinese_chars"): "handle_chinese_chars",
    ("ByteLevel", "add_prefix_space"): "add_prefix_space",
    ("RobertaProcessing", "add_prefix_space"): "add_prefix_space",
    ("Metaspace", "add_prefix_space"): "prepend_scheme",
}
ADJUSTABLE = tuple(dict.fromkeys(name for _, name in _KEYS))


def adjust(backend: Backend, changes: Mapping[str, Any]) -> Backend:
    """Return the tokenizer with the settings in ``changes`` (those of ADJUSTABLE), itself if there are none.

    Raises TokenizerError if it has no component with such a setting.
    """
    changes = {name: value for name, value in changes.items() if name in ADJUSTABLE}
    if not changes:
        return backend
    state = json.loads(backend.to_str())
    components = [state["normalizer"], state["pre_tokenizer"], state["post_processor"]]
    for name, value in changes.items():
        found = [part for part in parts(components) if (part.get("type"), name) in _KEYS]
        if not found:
            raise TokenizerError(f"This tokenizer has nothing that {name}={value!r} could change: leave it out.")
        for part in found:
            key = _KEYS[part["type"], name]
            part[key] = ("always" if value else "never") if key == "prepend_scheme" else value
    return Backend.from_str(json.dumps(state))


def frame(backend: Backend, bos: tuple[str, int] | None, eos: tuple[str, int] | None) -> None:
    """Let every text start with the token ``bos`` and end with ``eos`` (texts and ids), where they are given."""
    state = json.loads(backend.post_processor.__getstate__()) if backend.post_processor is not None else None
    kept = [
        processors.ByteLevel(**{name: value for name, value in part.items() if name != "type"})
        for part in parts([state])
        if part.get("type") == "ByteLevel"
    ]
    before, after = (f"{bos[0]}:{{0}} " if bos else ""), (f" {eos[0]}:{{0}}" if eos else "")
    single = f"{before}$A:0{after}".format(0)
    pair = f"{single} {before}$B:1{after}".format(1)
    template = processors.TemplateProcessing(single=single, pair=pair, special_tokens=[t for t in (bos, eos) if t])
    backend.post_processor = processors.Sequence([*kept, template]) if kept else template


def parts(components: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield the components and, for sequences of them, what they are made of."""
    for component in components:
        if isinstance(component, dict):
            yield component
            for inner in ("normalizers", "pretokenizers", "processors"):
                yield from parts(component.get(inner, []))
