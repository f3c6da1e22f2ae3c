"""Ids to texts."""

from typing import Any

from tokenizers import Tokenizer as Backend

from headway.tokenization.byte_vocabulary import ByteVocabulary
from headway.tokenization.options import reject_unknown
from headway.tokenization.vocabulary import Vocabulary, as_ids, no_id

_PUNCTUATION = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)


class Decoding(Vocabulary):
    """The part of a tokenizer that turns ids into texts."""

    clean_up_tokenization_spaces: bool
    _written: Backend  # whose ids models write: of the target's vocabulary, where it has one of its own

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        **unknown: Any,
    ) -> Any:
        """Return the text of ids: a string for an id or a list of ids, a list of strings for a batch.

        Args:
            token_ids: an integer, a list, array or tensor of them, or a batch of such.
            skip_special_tokens: leave special tokens out.
            clean_up_tokenization_spaces: drop the spaces before punctuation; if None, what the checkpoint says.
        """
        reject_unknown(self.decode, unknown)
        ids = as_ids(token_ids)
        if isinstance(ids, list) and ids and isinstance(ids[0], list):
            return [self.decode(row, skip_special_tokens, clean_up_tokenization_spaces) for row in ids]
        ids = ids if isinstance(ids, list) else [ids]
        if skip_special_tokens:
            # A token may have a role in the settings and yet be a plain one in tokenizer.json.
            special = set(self.all_special_ids)
            ids = [id for id in ids if id not in special]
        try:
            text = self._written.decode(ids, skip_special_tokens=skip_special_tokens)
        except (TypeError, OverflowError):
            raise no_id(token_ids) from None
        if clean_up_tokenization_spaces is None:
            # In byte-level and sentencepiece texts such spaces are the author's own.
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces and self.is_wordpiece
        if clean_up_tokenization_spaces:
            for spaced, mark in _PUNCTUATION:
                text = text.replace(spaced, mark)
        return text

    def batch_decode(
        self,
        sequences: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        **unknown: Any,
    ) -> list[str]:
        """Return the text of each row of ids; arguments are ``decode``'s."""
        reject_unknown(self.batch_decode, unknown)
        text = self.decode(sequences, skip_special_tokens, clean_up_tokenization_spaces) if len(sequences) else []
        return [text] if isinstance(text, str) else text

    def byte_vocabulary(self) -> ByteVocabulary:
        """Return what each token of a written text stands for in bytes; TokenizerError if that is not fixed."""
        return ByteVocabulary(self._written, self.all_special_ids)

    @property
    def is_wordpiece(self) -> bool:
        """Does decoding join words by spaces, and then draw some together?"""
        return type(self._backend.model).__name__ == "WordPiece"
