"""Languages of translation: the token of a text's language, and texts in the language to translate into."""

from headway.errors import InputError, did_you_mean
from headway.tokenization.frames import Frame, surround
from headway.tokenization.framing import Framing
from headway.tokenization.languages import Languages


class Translating(Framing):
    """The part of a tokenizer that knows languages.

    Attributes, where the model knows languages by tokens:
        src_lang: the language of texts.
        tgt_lang: the language of ``text_target``.
    """

    _languages: Languages | None
    _language_frame: Frame
    _langs: dict[str, str]

    @property
    def lang_code_to_id(self) -> dict[str, int]:
        """The ids of the languages' tokens, by code."""
        languages = self._known_languages("lang_code_to_id")
        codes = {languages.code_of(token): id for token, id in self.added_tokens_encoder.items()}
        return {code: id for code, id in codes.items() if code}

    @property
    def src_lang(self) -> str | None:
        """The language of texts; can be set to any that ``lang_code_to_id`` has."""
        self._known_languages("src_lang")
        return self._langs.get("src_lang")

    @src_lang.setter
    def src_lang(self, code: str) -> None:
        self._set_language("src_lang", code)
        self._speak(code)

    @property
    def tgt_lang(self) -> str | None:
        """The language of ``text_target``, None if it was never said; can be set as ``src_lang`` is."""
        self._known_languages("tgt_lang")
        return self._langs.get("tgt_lang")

    @tgt_lang.setter
    def tgt_lang(self, code: str) -> None:
        self._set_language("tgt_lang", code)

    def get_lang_token(self, lang: str) -> str:
        """Return the token of a language; InputError if the model does not know it."""
        languages = self._known_languages("get_lang_token")
        known = self.lang_code_to_id
        if lang not in known:
            near = did_you_mean(lang, known)
            raise InputError(f"This tokenizer has no language {lang!r}: there are {', '.join(sorted(known))}.{near}")
        return languages.token.format(lang)

    def get_lang_id(self, lang: str) -> int:
        """Return the id of a language's token; InputError if the model does not know it."""
        return self._id(self.get_lang_token(lang))

    def _known_languages(self, name: str) -> Languages:
        if self._languages is None:
            raise AttributeError(f"A tokenizer without languages has no {name!r}.", name=name, obj=self)
        return self._languages

    def _set_language(self, name: str, code: str) -> None:
        if self._languages is None:
            raise InputError(f"{name} cannot be set: this tokenizer knows no tokens of languages.")
        self.get_lang_token(code)
        self._langs[name] = code

    def _speak(self, code: str) -> None:
        """Put the token of a language around texts."""
        tokens = {role.removesuffix("_token"): token for role, token in self._roles.items()}
        surround(self._backend, self._language_frame, {**tokens, "lang": self.get_lang_token(code)}, {})

    def _target_code(self) -> str | None:
        """Return the language that targets are written in, None where they are like other texts."""
        if self._languages is None:
            return None
        if "tgt_lang" not in self._langs:
            raise InputError("text_target needs the language it is in: set tokenizer.tgt_lang first.")
        return self._langs["tgt_lang"]
