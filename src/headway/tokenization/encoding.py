"""What a tokenizer returns: a dictionary of model inputs that still knows the text they came from."""

from collections import UserDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tokenizers import Encoding

from headway.errors import TokenizerError, did_you_mean
from headway.tokenization.tensors import tensor_kind, to_tensor

Encodings = list[Encoding] | Callable[[], list[Encoding]]


class CharSpan(NamedTuple):
    """The characters ``text[start:end]``."""

    start: int
    end: int


class TokenSpan(NamedTuple):
    """The tokens ``tokens[start:end]``."""

    start: int
    end: int


class BatchEncoding(UserDict[str, Any]):
    """The inputs of a model by name, and the way back from tokens to words and characters.

    A value is a list of integers for one text, a list of lists for several, or an int64 array or tensor [rows, length].
    The values are attributes too (``batch.input_ids``), ``model(**batch)`` takes them, ``batch[0]`` is the first row's
    ``tokenizers.Encoding``.

    Methods that take a batch index and a position take the position alone for row 0. They return None where there is no
    answer (a special token, white space), and raise TokenizerError if the batch was not made by calling a tokenizer.

    ``encoding`` may be a function that makes the encodings when they are first asked for: tokenizing without offsets is
    faster, and most callers want no offsets.
    """

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        encoding: Encoding | Encodings | None = None,
        tensor_type: str | None = None,
        prepend_batch_axis: bool = False,
        n_sequences: int | None = None,
    ) -> None:
        self.data = dict(data or {})
        self._encodings: Encodings | None = [encoding] if isinstance(encoding, Encoding) else encoding
        self._n_sequences = n_sequences
        if tensor_type is not None:
            self.convert_to_tensors(tensor_type, prepend_batch_axis)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, int | slice):
            return self._rows()[item]
        return self.data[item]

    def __getattr__(self, name: str) -> Any:
        data = self.__dict__.get("data", {})
        if name in data:
            return data[name]
        raise AttributeError(f"This batch has no {name!r}.{did_you_mean(name, data)}", name=name, obj=self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_encodings": None if self._encodings is None else self._rows()}

    @property
    def encodings(self) -> list[Encoding] | None:
        """The rows' ``tokenizers.Encoding``, None if the batch was not made by calling a tokenizer."""
        return None if self._encodings is None else self._rows()

    @property
    def n_sequences(self) -> int | None:
        """How many texts there are in a row, 1 or 2; None if it is not known."""
        return self._n_sequences

    @property
    def is_fast(self) -> bool:
        """Whether the batch knows about words and characters."""
        return self._encodings is not None

    def convert_to_tensors(self, tensor_type: str | None = None, prepend_batch_axis: bool = False) -> "BatchEncoding":
        """Turn every value into a torch tensor ("pt") or NumPy array ("np"), in place; InputError if one is ragged."""
        if (kind := tensor_kind(tensor_type)) is not None:
            for name, value in self.data.items():
                self.data[name] = to_tensor(name, [value] if prepend_batch_axis else value, kind)
        return self

    def to(self, device: Any, *, non_blocking: bool = False) -> "BatchEncoding":
        """Move the tensors to ``device``, in place, and return the batch; values that are no tensors stay."""
        for name, value in self.data.items():
            if callable(getattr(value, "to", None)):
                self.data[name] = value.to(device, non_blocking=non_blocking)
        return self

    def tokens(self, batch_index: int = 0) -> list[str]:
        """Return the tokens of a row as strings."""
        return self._rows()[batch_index].tokens

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return, for each token of a row, the number of its word; None for special tokens."""
        return self._rows()[batch_index].word_ids

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return, for each token of a row, 0 for the first text and 1 for the second; None for special tokens."""
        return self._rows()[batch_index].sequence_ids

    def token_to_sequence(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """Return which text a token belongs to, 0 or 1."""
        row, token = self._at(batch_or_token_index, token_index)
        return row.token_to_sequence(_from_start(token, row))

    def token_to_word(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """Return the number of the word that a token belongs to."""
        row, token = self._at(batch_or_token_index, token_index)
        return row.token_to_word(_from_start(token, row))

    def token_to_chars(self, batch_or_token_index: int, token_index: int | None = None) -> CharSpan | None:
        """Return the characters that a token stands for."""
        row, token = self._at(batch_or_token_index, token_index)
        found = row.token_to_chars(_from_start(token, row))
        return None if found is None else CharSpan(*found)

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> TokenSpan | None:
        """Return the tokens of a word."""
        row, word = self._at(batch_or_word_index, word_index)
        found = row.word_to_tokens(word, sequence_index)
        return None if found is None else TokenSpan(*found)

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> CharSpan | None:
        """Return the characters of a word."""
        row, word = self._at(batch_or_word_index, word_index)
        found = row.word_to_chars(word, sequence_index)
        return None if found is None else CharSpan(*found)

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the index of the token that holds a character."""
        row, char = self._at(batch_or_char_index, char_index)
        return row.char_to_token(char, sequence_index)

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the number of the word that holds a character."""
        row, char = self._at(batch_or_char_index, char_index)
        return row.char_to_word(char, sequence_index)

    def _at(self, batch_or_position: int, position: int | None) -> tuple[Encoding, int]:
        if position is None:
            return self._rows()[0], batch_or_position
        return self._rows()[batch_or_position], position

    def _rows(self) -> list[Encoding]:
        if self._encodings is None:
            raise TokenizerError(
                "This batch does not know the texts it came from, so it has no tokens, words or characters: use what "
                "calling the tokenizer returned, not what pad() or a data collator made of it."
            )
        if not isinstance(self._encodings, list):
            self._encodings = self._encodings()
        return self._encodings


def _from_start(token: int, row: Encoding) -> int:
    return token + len(row) if token < 0 else token
