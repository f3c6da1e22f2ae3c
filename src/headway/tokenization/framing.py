"""The special tokens that stand around every text."""

from itertools import groupby

from headway.errors import TokenizerError
from headway.tokenization.adjust import frame
from headway.tokenization.vocabulary import Vocabulary, as_ids


class Framing(Vocabulary):
    """The part of a tokenizer that knows which special tokens frame a text."""

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Return how many special tokens a text, or a pair, is framed with."""
        return self._backend.num_special_tokens_to_add(pair)

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """Return ids framed with special tokens."""
        return [id for id, _, _ in self._framed(token_ids_0, token_ids_1)]

    def create_token_type_ids_from_sequences(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """Return the token types of ids framed with special tokens."""
        return [type_id for _, type_id, _ in self._framed(token_ids_0, token_ids_1)]

    def get_special_tokens_mask(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None, already_has_special_tokens: bool = False
    ) -> list[int]:
        """Return 1 for special tokens and 0 for others, of ids that have them or of what framing would make of them."""
        if not already_has_special_tokens:
            return [int(special) for _, _, special in self._framed(token_ids_0, token_ids_1)]
        special_ids = set(self.all_special_ids)
        return [int(id in special_ids) for id in as_ids(token_ids_0)]

    def _framed(self, first: list[int], second: list[int] | None) -> list[tuple[int, int, bool]]:
        """Return id, token type and whether it is special for each token of framed ids."""
        # The backend frames texts only, so a sample shows where the special tokens go.
        sample = self._backend.encode("a", None if second is None else "a")
        framed: list[tuple[int, int, bool]] = []
        tokens = zip(sample.sequence_ids, sample.ids, sample.type_ids, strict=True)
        for sequence, group in groupby(tokens, key=lambda token: token[0]):
            if sequence is None:
                framed += [(id, type_id, True) for _, id, type_id in group]
            else:
                type_id = next(group)[2]
                framed += [(id, type_id, False) for id in ((second or []) if sequence else first)]
        return framed

    def _frame_ids(self) -> tuple[list[int], list[int]]:
        """Return the special ids before and after a text."""
        marker = -1
        ids = [id if special else marker for id, _, special in self._framed([marker], None)]
        return (ids[: ids.index(marker)], ids[ids.index(marker) + 1 :]) if marker in ids else (ids, [])

    @property
    def add_bos_token(self) -> bool:
        """Whether texts are framed with ``bos_token`` at the start; can be set."""
        return self.bos_token_id is not None and self.bos_token_id in self._frame_ids()[0]

    @add_bos_token.setter
    def add_bos_token(self, value: bool) -> None:
        self._frame(value, self.add_eos_token)

    @property
    def add_eos_token(self) -> bool:
        """Whether texts are framed with ``eos_token`` at the end; can be set."""
        return self.eos_token_id is not None and self.eos_token_id in self._frame_ids()[1]

    @add_eos_token.setter
    def add_eos_token(self, value: bool) -> None:
        self._frame(self.add_bos_token, value)

    def _frame(self, bos: bool, eos: bool) -> None:
        if (bos, eos) != (self.add_bos_token, self.add_eos_token):
            frame(self._backend, self._token("bos_token") if bos else None, self._token("eos_token") if eos else None)

    def _token(self, role: str) -> tuple[str, int]:
        if role not in self._roles:
            raise TokenizerError(f"This tokenizer has no {role} to add to texts: set tokenizer.{role} first.")
        return self._roles[role], self._id(self._roles[role])
