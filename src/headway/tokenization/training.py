"""A tokenizer of the same kind with another vocabulary."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from headway.errors import TokenizerError
from headway.tokenization.adjust import parts
from headway.tokenization.reading import Built
from headway.tokenization.settings import settings_of
from headway.tokenization.special import EXTRA, as_added_token

if TYPE_CHECKING:
    from headway.tokenization.tokenizer import Tokenizer

_TRAINERS: dict[str, type[Any]] = {
    "BPE": trainers.BpeTrainer,
    "WordPiece": trainers.WordPieceTrainer,
    "WordLevel": trainers.WordLevelTrainer,
    "Unigram": trainers.UnigramTrainer,
}


def train_new(
    old: "Tokenizer",
    texts: Iterable[Any],
    vocab_size: int,
    length: int | None,
    new_specials: Iterable[str | AddedToken] | None,
    renamed: Mapping[str, str] | None,
    options: Mapping[str, Any],
) -> "Tokenizer":
    """Return a tokenizer like ``old`` with a vocabulary of ``vocab_size`` learnt from ``texts``."""
    names = dict(renamed or {})
    added = [(names.get(token.content, token.content), token) for token in old.added_tokens_decoder.values()]
    specials = [AddedToken(name, **_flags(token)) for name, token in added]
    specials += [as_added_token(token, special=True) for token in new_specials or ()]
    state = json.loads(old.backend_tokenizer.to_str())
    backend, processor = _emptied(state), state["post_processor"]
    backend.train_from_iterator(texts, _trainer(state, vocab_size, specials, options), length=length)
    if processor is not None:
        trained = json.loads(backend.to_str())
        trained["post_processor"] = _with_new_ids(processor, names, backend)
        backend = Backend.from_str(json.dumps(trained))

    roles = {role: names.get(token, token) for role, token in old.special_tokens_map.items()}
    extra = [names.get(token, token) for token in old.additional_special_tokens]
    config = {name: value for name, value in old.init_kwargs.items() if name != "added_tokens_decoder"}
    config.update(roles, model_input_names=old.model_input_names, chat_template=old.chat_template)
    config[EXTRA[0]] = extra + [token.content for token in specials[len(added) :]]
    config.pop(EXTRA[1], None)
    return type(old)._assemble(Built(backend, None, whole=True), settings_of(config), {})


def _trainer(state: dict[str, Any], vocab_size: int, specials: list[AddedToken], options: Mapping[str, Any]) -> Any:
    model = state["model"]
    chosen: dict[str, Any] = {"vocab_size": vocab_size, "special_tokens": specials, "show_progress": False}
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            chosen[name] = model[name]
    if model["type"] == "Unigram":
        chosen["unk_token"] = model["vocab"][model["unk_id"]][0] if model.get("unk_id") is not None else None
    elif any(part.get("type") == "ByteLevel" for part in parts([state["pre_tokenizer"]])):
        chosen["initial_alphabet"] = pre_tokenizers.ByteLevel.alphabet()
    return _TRAINERS[model["type"]](**{**chosen, **options})


def _emptied(state: dict[str, Any]) -> Backend:
    """Return the tokenizer without its vocabulary, and without the frame of tokens that it does not have yet."""
    model = dict(state["model"])
    if model["type"] not in _TRAINERS:
        raise TokenizerError(f"A {model['type']} tokenizer cannot be trained anew.")
    if model["type"] == "Unigram":
        model.update(vocab=[["<unk>", 0.0]], unk_id=0)
    else:
        model["vocab"] = {}
    if "merges" in model:
        model["merges"] = []
    return Backend.from_str(json.dumps({**state, "model": model, "added_tokens": [], "post_processor": None}))


def _with_new_ids(processor: dict[str, Any], names: Mapping[str, str], backend: Backend) -> dict[str, Any]:
    """Return the description of a post-processor with the special tokens' new names and ids."""

    def new_id(token: str) -> int:
        id = backend.token_to_id(token)
        if id is None:
            raise TokenizerError(f"The special token {token!r} stands in every text and must be in the new vocabulary.")
        return id

    new = json.loads(json.dumps(processor))
    for part in parts([new]):
        for role in ("sep", "cls"):
            if role in part:
                token = names.get(part[role][0], part[role][0])
                part[role] = [token, new_id(token)]
        for piece in (*part.get("single", ()), *part.get("pair", ())):
            if special := piece.get("SpecialToken"):
                special["id"] = names.get(special["id"], special["id"])
        if tokens := part.get("special_tokens"):
            renamed = {
                names.get(name, name): [names.get(t, t) for t in token["tokens"]] for name, token in tokens.items()
            }
            part["special_tokens"] = {
                name: {"id": name, "ids": [new_id(token) for token in made], "tokens": made}
                for name, made in renamed.items()
            }
    return new


def _flags(token: AddedToken) -> dict[str, bool]:
    return {name: getattr(token, name) for name in ("single_word", "lstrip", "rstrip", "normalized", "special")}
