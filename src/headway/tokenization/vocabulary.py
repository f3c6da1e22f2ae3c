"""The vocabulary: between tokens and ids."""

from collections.abc import Iterable
from typing import Any, overload

from tokenizers import AddedToken

from headway.errors import InputError
from headway.tokenization.special import SpecialTokens
from headway.tokenization.tensors import to_list


class Vocabulary(SpecialTokens):
    """The part of a tokenizer that knows its vocabulary."""

    @property
    def vocab_size(self) -> int:
        """The size of the vocabulary without added tokens; ``len(tokenizer)`` counts them too."""
        return self._backend.get_vocab_size(with_added_tokens=False)

    @property
    def vocab(self) -> dict[str, int]:
        """Every token with its id."""
        return self.get_vocab()

    def get_vocab(self) -> dict[str, int]:
        """Return every token, added ones included, with its id."""
        return self._backend.get_vocab(with_added_tokens=True)

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The added tokens by id."""
        return dict(sorted(self._backend.get_added_tokens_decoder().items()))

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        """The ids of the added tokens, in the order of ids."""
        return {token.content: id for id, token in self.added_tokens_decoder.items()}

    def get_added_vocab(self) -> dict[str, int]:
        """Return the ids of the added tokens, special ones included."""
        return self.added_tokens_encoder

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int | None: ...  # type: ignore[overload-overlap]
    @overload
    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int | None]: ...
    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> int | list[int | None] | None:
        """Return the id of a token, or of each; the id of ``unk_token`` (or None) for one that is not known."""
        if isinstance(tokens, str):
            id = self._backend.token_to_id(tokens)
            return self.unk_token_id if id is None else id
        return [self.convert_tokens_to_ids(token) for token in tokens]

    @overload
    def convert_ids_to_tokens(self, ids: int, skip_special_tokens: bool = False) -> str | None: ...
    @overload
    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> list[str | None]: ...
    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> str | list[str | None] | None:
        """Return the token of an id, or of each in a list, array or tensor; None for an id that has no token."""
        listed = as_ids(ids)
        skipped = set(self.all_special_ids) if skip_special_tokens else ()
        try:
            if isinstance(listed, int):
                return self._backend.id_to_token(listed)
            return [self._backend.id_to_token(id) for id in listed if id not in skipped]
        except (TypeError, OverflowError):
            raise no_id(ids) from None

    def convert_tokens_to_string(self, tokens: Iterable[str]) -> str:
        """Return the text that the tokens make up."""
        decoder = self._backend.decoder
        return " ".join(tokens) if decoder is None else decoder.decode(list(tokens))


def as_ids(ids: Any) -> Any:
    """Return an id, or (nested) ids in lists, arrays or tensors, as an int or lists of ints."""
    listed = to_list(ids)
    if isinstance(listed, int | list):
        return listed
    return [to_list(item) for item in listed] if isinstance(listed, Iterable) else listed


def no_id(ids: object) -> InputError:
    """Return the error for what is no id or list of ids."""
    text = repr(ids)
    return InputError(
        f"Token ids must be integers of at least 0, not {text if len(text) <= 60 else text[:57] + '...'}. Labels use "
        "-100 for what is not counted: replace it first."
    )
