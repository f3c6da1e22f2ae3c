"""Which tokens make a word, seen from the tokens of a vocabulary."""

from __future__ import annotations

import torch
from tokenizers.models import WordPiece
from torch import Tensor

from headway.errors import InputError
from headway.tokenization.tokenizer import Tokenizer

# How vocabularies write the space before a word: sentencepiece's and byte-level ones.
_SPACES = ("▁", "Ġ")


def continuations(tokenizer: Tokenizer) -> Tensor:
    """Boolean ``[vocabulary]``: does a token go on with the word of the token before it?

    Raises:
        InputError: the vocabulary does not show where words start.
    """
    tokens = [token or "" for token in tokenizer.convert_ids_to_tokens(range(len(tokenizer)))]
    model = tokenizer.backend_tokenizer.model
    if isinstance(model, WordPiece):
        return torch.tensor([token.startswith(model.continuing_subword_prefix) for token in tokens])
    if not any(token.startswith(_SPACES) for token in tokens):
        raise InputError(
            "The vocabulary of this tokenizer does not show where words start; pass whole_word_mask=False."
        )
    return torch.tensor([not token.startswith(_SPACES) for token in tokens])


def word_numbers(continues: Tensor, inside: Tensor) -> Tensor:
    """The number of each token's word in its row, int64.

    Args:
        continues: boolean ``[rows, width]``, True where a token goes on with a word.
        inside: boolean ``[rows, width]``, False at tokens that are no part of a word, which end the one before.
    """
    after = torch.zeros_like(inside)
    after[:, 1:] = inside[:, :-1]
    return (~(continues & inside & after)).cumsum(1) - 1
