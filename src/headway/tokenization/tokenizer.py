"""The tokenizer: texts to model inputs and back, for every family, over the ``tokenizers`` library."""

import copy
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Self

from tokenizers import AddedToken
from tokenizers import Tokenizer as Backend

from headway.errors import InputError, TokenizerError, did_you_mean
from headway.tokenization.adjust import ADJUSTABLE, adjust
from headway.tokenization.chatting import Chatting
from headway.tokenization.decoding import Decoding
from headway.tokenization.kinds import Kind
from headway.tokenization.options import side_of
from headway.tokenization.reading import Built
from headway.tokenization.settings import Settings, settings_of
from headway.tokenization.special import EXTRA, ROLES, as_added_token

# What a user may set; a key of a file may be anything.
SETTINGS = (
    *ROLES,
    *EXTRA,
    *ADJUSTABLE,
    "add_bos_token",
    "add_eos_token",
    "chat_template",
    "clean_up_tokenization_spaces",
    "extra_ids",
    "keep_accents",
    "language_codes",
    "legacy",
    "legacy_behaviour",
    "model_input_names",
    "model_max_length",
    "name_or_path",
    "pad_token_type_id",
    "padding_side",
    "split_special_tokens",
    "src_lang",
    "tgt_lang",
    "tokenizer_class",
    "truncation_side",
)


class Tokenizer(Chatting, Decoding):
    """Turns texts into the inputs of a model, and ids into texts.

    Args:
        tokenizer_object: a ``tokenizers.Tokenizer``; its ids are this tokenizer's ids.
        tokenizer_file: the path of a tokenizer.json, in place of the object.
        settings: special tokens by role (``pad_token="[PAD]"``) and the other SETTINGS.

    Calls do not change each other's results, from whatever thread they come.

    Attributes:
        model_max_length: how many tokens the model takes; about 1e30 if that is not known.
        model_input_names: which inputs a call returns.
        padding_side, truncation_side: "right" or "left".
        chat_template: a template, or several by name, or None.
        init_kwargs: the settings as they were read from the checkpoint, written back by ``save_pretrained``.
    """

    is_fast = True

    def __init__(
        self,
        tokenizer_object: Backend | None = None,
        tokenizer_file: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> None:
        check_settings(settings)
        if (tokenizer_object is None) == (tokenizer_file is None):
            raise InputError("A tokenizer is made of either tokenizer_object or tokenizer_file.")
        backend = copy.deepcopy(tokenizer_object)  # which stays the caller's
        if backend is None:
            try:
                backend = Backend.from_file(os.fspath(tokenizer_file or ""))
            except Exception as error:  # the library raises nothing more special
                raise TokenizerError(f"{tokenizer_file} is not a tokenizer ({error}).") from error
        self._set_up(Built(adjust(backend, settings), None, whole=True), settings_of(settings), settings)

    @classmethod
    def _assemble(cls, built: Built, settings: Settings, overrides: Mapping[str, Any]) -> Self:
        """Make a tokenizer of what was read from a checkpoint; the user's ``overrides`` are in the settings already."""
        tokenizer = cls.__new__(cls)
        if not built.rebuilt:
            built = built._replace(backend=adjust(built.backend, overrides))
        tokenizer._set_up(built, settings, overrides)
        return tokenizer

    def _set_up(self, built: Built, settings: Settings, overrides: Mapping[str, Any]) -> None:
        config, backend = settings.config, built.backend
        # Lengths are the caller's business: what was set when a file was saved would cut texts silently.
        backend.no_truncation()
        backend.no_padding()
        self._backend = backend
        self._lock = Lock()
        self._told: set[str] = set()
        self.init_kwargs: dict[str, Any] = dict(config)
        self.name_or_path = str(config.get("name_or_path") or "")
        self.chat_template = settings.templates
        self.model_max_length = int(config.get("model_max_length") or 1e30)
        self.padding_side = side_of("padding_side", config.get("padding_side") or "right")
        self.truncation_side = side_of("truncation_side", config.get("truncation_side") or "right")
        self.pad_token_type_id = int(config.get("pad_token_type_id") or 0)
        self.clean_up_tokenization_spaces = bool(config.get("clean_up_tokenization_spaces", False))
        self._backend.encode_special_tokens = bool(config.get("split_special_tokens", False))
        self._set_tokens(settings, built.whole)
        if "add_bos_token" in overrides or "add_eos_token" in overrides:
            self._frame(
                bool(config.get("add_bos_token", self.add_bos_token)),
                bool(config.get("add_eos_token", self.add_eos_token)),
            )
        self._target = built.target
        self._written = built.target if built.target is not None and config.get("separate_vocabs") else backend
        self._set_languages(settings, overrides)
        names = config.get("model_input_names")
        self.model_input_names = list(names) if names else list(self._input_names(settings.kind))

    def _set_tokens(self, settings: Settings, whole: bool) -> None:
        """Take over the special tokens, adding to the vocabulary those that it does not have."""
        for id, token in sorted(settings.added.items()):
            known = self._backend.token_to_id(token.content)
            if known is None or not whole:
                self._backend.add_tokens([token])
            if known is None and (given := self._backend.token_to_id(token.content)) != id:
                raise TokenizerError(
                    f"The files contradict each other: the added token {token.content!r} should have the id {id}, but "
                    f"the vocabulary leaves it {given}."
                )
        self._roles, self._extra = {}, [token.content for token in settings.extra]
        defaults = settings.kind.specials if settings.kind else {}
        for role, default in defaults.items():
            if role not in settings.roles and self._backend.token_to_id(default) is not None:
                self._roles[role] = default
        made = {
            role: as_added_token(token, special=True) for role, token in settings.roles.items() if token is not None
        }
        for token in (*made.values(), *settings.extra):
            if self._backend.token_to_id(token.content) is None:
                self._backend.add_special_tokens([token])
        self._roles.update((role, token.content) for role, token in made.items())

    def _set_languages(self, settings: Settings, overrides: Mapping[str, Any]) -> None:
        config, kind = settings.config, settings.kind
        self._languages, self._langs = kind.languages if kind else None, {}
        if kind is not None and self._languages is not None and not self.lang_code_to_id:
            # Some files have languages in the vocabulary as if they were plain tokens; a user's own may have none.
            known = [token for token in kind.added(config) if self._languages.code_of(token)]
            self._backend.add_special_tokens([token for token in known if self._backend.token_to_id(token) is not None])
            self._languages = self._languages if self.lang_code_to_id else None
        if self._languages is not None:
            legacy = self._languages.legacy if config.get("legacy_behaviour") else None
            self._language_frame = legacy or self._languages.frame
        said = overrides if self._languages is None else config
        if source := said.get("src_lang") or (self._languages and self._languages.default):
            self.src_lang = source
        if target := said.get("tgt_lang"):
            self.tgt_lang = target

    def _input_names(self, kind: Kind | None) -> tuple[str, ...]:
        if kind is not None:
            return kind.inputs
        # BERT's way is seen by the separator after the second text: it belongs to the second type.
        pair = self._backend.encode("a", "a")
        has_types = bool(pair.ids) and pair.special_tokens_mask[-1] == 1 and pair.type_ids[-1] != 0
        return ("input_ids", "token_type_ids", "attention_mask") if has_types else ("input_ids", "attention_mask")

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Self:
        """Load the tokenizer of a checkpoint; arguments and errors are ``AutoTokenizer.from_pretrained``'s."""
        from headway.tokenization.loading import load

        return load(cls, pretrained_model_name_or_path, **kwargs)

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> tuple[str, ...]:
        """Write the tokenizer's files into a folder, in one step, and return their paths.

        Both headway and transformers load it with the same ids. Raises CheckpointError if it cannot be written.
        """
        from headway.tokenization.saving import save

        return save(self, Path(save_directory))

    @property
    def backend_tokenizer(self) -> Backend:
        """The ``tokenizers.Tokenizer`` that does the work."""
        return self._backend

    @property
    def max_len_single_sentence(self) -> int:
        """How many tokens of one text the model takes."""
        return self.model_max_length - self.num_special_tokens_to_add()

    @property
    def max_len_sentences_pair(self) -> int:
        """How many tokens of two texts the model takes."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=True)

    def train_new_from_iterator(
        self,
        text_iterator: Iterable[Any],
        vocab_size: int,
        length: int | None = None,
        new_special_tokens: Iterable[str | AddedToken] | None = None,
        special_tokens_map: Mapping[str, str] | None = None,
        **trainer_options: Any,
    ) -> "Tokenizer":
        """Return a tokenizer of the same kind whose vocabulary is learnt from texts.

        Args:
            text_iterator: texts, or lists of them.
            vocab_size: how many tokens to learn, special ones included.
            length: how many texts there are, for the progress bar.
            new_special_tokens: special tokens to add.
            special_tokens_map: new names of special tokens, by the old ones.
            trainer_options: further options of the trainer of the ``tokenizers`` library.
        """
        from headway.tokenization.training import train_new

        return train_new(
            self, text_iterator, vocab_size, length, new_special_tokens, special_tokens_map, trainer_options
        )

    def __repr__(self) -> str:
        lines = (f"    {id}: {token!r}," for id, token in self.added_tokens_decoder.items())
        return (
            f"{type(self).__name__}(name_or_path={self.name_or_path!r}, vocab_size={self.vocab_size}, "
            f"model_max_length={self.model_max_length}, padding_side={self.padding_side!r}, "
            f"truncation_side={self.truncation_side!r}, special_tokens={self.special_tokens_map}, "
            "added_tokens_decoder={\n" + "\n".join(lines) + "\n})"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())


PreTrainedTokenizerBase = Tokenizer


def check_settings(settings: Iterable[str]) -> None:
    """Raise InputError for the first name that is no setting of a tokenizer."""
    for name in settings:
        if name not in SETTINGS:
            raise InputError(f"A tokenizer has no setting {name!r}.{did_you_mean(name, SETTINGS)}")
