"""What changes the scores of the next token before it is chosen: penalties and constraints.

A processor is called with the ids so far, ``[rows, n]`` int64, and the scores ``[rows, vocabulary]`` float32, and
returns scores. Rows are aligned at their end; in front of the shorter ones stand negative ids, which mean nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from headway.errors import InputError

MINUS_INFINITY = float("-inf")


class LogitsProcessor:
    """Changes scores; subclass it and give objects of it to ``generate(logits_processor=[...])``."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        raise NotImplementedError


class LogitsProcessorList(list[Callable[[Tensor, Tensor], Tensor]]):
    """Processors, applied one after the other."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        for processor in self:
            scores = processor(input_ids, scores)
        return scores


def _counts(ids: Tensor, vocabulary: int) -> Tensor:
    """How often each token stands in each row, ``[rows, vocabulary]``."""
    counts = torch.zeros(ids.shape[0], vocabulary + 1, device=ids.device)
    counts.scatter_add_(1, ids.masked_fill(ids < 0, vocabulary), torch.ones_like(ids, dtype=counts.dtype))
    return counts[:, :-1]


def _penalised(scores: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Scores of ``seen`` tokens made less likely by ``penalty``, whatever their sign."""
    return torch.where(seen, torch.where(scores < 0, scores * penalty, scores / penalty), scores)


def _without(scores: Tensor, tokens: Tensor) -> Tensor:
    return scores.index_fill(1, tokens, MINUS_INFINITY)


class RepetitionPenaltyLogitsProcessor(LogitsProcessor):
    """Divides the positive scores of tokens in the row by ``penalty`` and multiplies the negative ones."""

    def __init__(self, penalty: float) -> None:
        self.penalty = penalty

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return _penalised(scores, _counts(input_ids, scores.shape[1]) > 0, self.penalty)


class EncoderRepetitionPenaltyLogitsProcessor(LogitsProcessor):
    """Makes the tokens of the prompt (an encoder's input) more likely by ``penalty``."""

    def __init__(self, penalty: float, encoder_input_ids: Tensor) -> None:
        self.penalty, self.encoder_input_ids = 1 / penalty, encoder_input_ids

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        seen = _counts(_for_rows(self.encoder_input_ids, scores), scores.shape[1]) > 0
        return _penalised(scores, seen, self.penalty)


class FrequencyPenaltyLogitsProcessor(LogitsProcessor):
    """Subtracts ``frequency`` for each time that a token was written, and ``presence`` once where it was."""

    def __init__(self, frequency: float, presence: float, prompt_length: int) -> None:
        self.frequency, self.presence, self.prompt_length = frequency, presence, prompt_length

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        counts = _counts(input_ids[:, self.prompt_length :], scores.shape[1])
        return scores - self.frequency * counts - self.presence * (counts > 0)


def _continuations(ids: Sequence[int], ngram: Sequence[int], size: int) -> list[int]:
    """The tokens that follow in ``ids`` where the last ``size - 1`` tokens are ``ngram``."""
    return [ids[at + size - 1] for at in range(len(ids) - size + 1) if list(ids[at : at + size - 1]) == ngram]


class NoRepeatNGramLogitsProcessor(LogitsProcessor):
    """Forbids tokens that would repeat ``ngram_size`` tokens of the row."""

    def __init__(self, ngram_size: int) -> None:
        self.ngram_size = ngram_size

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return _forbid_repeats(scores, input_ids, input_ids, self.ngram_size)


class EncoderNoRepeatNGramLogitsProcessor(LogitsProcessor):
    """Forbids tokens that would repeat ``encoder_ngram_size`` tokens of an encoder's input."""

    def __init__(self, encoder_ngram_size: int, encoder_input_ids: Tensor) -> None:
        self.ngram_size, self.encoder_input_ids = encoder_ngram_size, encoder_input_ids

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return _forbid_repeats(scores, input_ids, _for_rows(self.encoder_input_ids, scores), self.ngram_size)


def _forbid_repeats(scores: Tensor, ids: Tensor, texts: Tensor, size: int) -> Tensor:
    scores = scores.clone()
    for row, (written, text) in enumerate(zip(ids.tolist(), texts.tolist(), strict=True)):
        written = [token for token in written if token >= 0]
        if len(written) + 1 < size:
            continue
        ngram = written[len(written) - size + 1 :]
        forbidden = _continuations([token for token in text if token >= 0], ngram, size)
        scores[row, forbidden] = MINUS_INFINITY
    return scores


class SequenceBiasLogitsProcessor(LogitsProcessor):
    """Adds a bias to the last token of each sequence where the tokens before it stand at the end of the row.

    Args:
        sequence_bias: from sequences of ids to their bias.
    """

    def __init__(self, sequence_bias: Mapping[tuple[int, ...], float]) -> None:
        self.sequence_bias = dict(sequence_bias)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        bias = torch.zeros_like(scores)
        width = input_ids.shape[1]
        for sequence, value in self.sequence_bias.items():
            before = sequence[:-1]
            if not before:
                bias[:, sequence[0]] += value
            elif len(before) < width:
                tail = torch.tensor(before, device=input_ids.device)
                stands = (input_ids[:, -len(before) :] == tail).all(1)
                bias[:, sequence[-1]] += torch.where(stands, value, 0.0)
        return scores + bias


class NoBadWordsLogitsProcessor(SequenceBiasLogitsProcessor):
    """Forbids to finish any of the sequences ``bad_words_ids``; a lone end of sequence among them is left out."""

    def __init__(self, bad_words_ids: Iterable[Sequence[int]], eos_token_id: Sequence[int] = ()) -> None:
        words = [tuple(word) for word in bad_words_ids]
        super().__init__({word: MINUS_INFINITY for word in words if len(word) != 1 or word[0] not in eos_token_id})


class MinLengthLogitsProcessor(LogitsProcessor):
    """Forbids the end of sequence before there are ``min_length`` ids; a tensor ``[rows]`` gives each row its own."""

    def __init__(self, min_length: int | Tensor, eos_token_id: Sequence[int]) -> None:
        self.min_length, self.eos = min_length, torch.tensor(eos_token_id)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        early = _column(input_ids.shape[1] < self.min_length, scores)
        return torch.where(early, _without(scores, self.eos.to(scores.device)), scores)


class MinNewTokensLengthLogitsProcessor(MinLengthLogitsProcessor):
    """Forbids the end of sequence before ``min_new_tokens`` were written after a prompt of ``prompt_length``."""

    def __init__(self, prompt_length: int, min_new_tokens: int, eos_token_id: Sequence[int]) -> None:
        super().__init__(prompt_length + min_new_tokens, eos_token_id)


class PrefixConstrainedLogitsProcessor(LogitsProcessor):
    """Allows only the tokens that ``allowed(row, ids of the row)`` names.

    Args:
        num_beams: how many beams of one prompt stand one after the other; ``row`` counts prompts.
        first: the number of the first prompt.
    """

    def __init__(self, allowed: Callable[[int, Tensor], Sequence[int]], num_beams: int, first: int = 0) -> None:
        self.allowed, self.num_beams, self.first = allowed, num_beams, first

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        found = torch.full_like(scores, MINUS_INFINITY)
        for row, ids in enumerate(input_ids):
            number = self.first + row // self.num_beams
            tokens = list(self.allowed(number, ids[ids >= 0]))
            if not tokens:
                raise InputError(
                    f"prefix_allowed_tokens_fn allows no token for row {number}; return one id or more, such as the "
                    "end of sequence."
                )
            found[row, tokens] = scores[row, tokens]
        return found


class ForcedBOSTokenLogitsProcessor(LogitsProcessor):
    """Makes ``bos_token_id`` the first token that is written after a start of one token."""

    def __init__(self, bos_token_id: int) -> None:
        self.bos_token_id = bos_token_id

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return _forced(scores, [self.bos_token_id]) if input_ids.shape[1] == 1 else scores


class ForcedEOSTokenLogitsProcessor(LogitsProcessor):
    """Makes an end of sequence the last of ``max_length`` ids; a tensor ``[rows]`` gives each row its own."""

    def __init__(self, max_length: int | Tensor, eos_token_id: Sequence[int]) -> None:
        self.max_length, self.eos = max_length, list(eos_token_id)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        last = _column(input_ids.shape[1] == self.max_length - 1, scores)
        return torch.where(last, _forced(scores, self.eos), scores)


def _column(condition: bool | Tensor, scores: Tensor) -> Tensor:
    """A condition of all rows or of each, to be laid over ``scores``."""
    return torch.as_tensor(condition, device=scores.device).reshape(-1, 1)


def _forced(scores: Tensor, tokens: list[int]) -> Tensor:
    found = torch.full_like(scores, MINUS_INFINITY)
    found[:, tokens] = 0.0
    return found


class InfNanRemoveLogitsProcessor(LogitsProcessor):
    """Makes infinite scores the largest finite ones and those that are no number zero."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        largest = torch.finfo(scores.dtype).max
        return scores.nan_to_num(0.0, largest, -largest)


class ExponentialDecayLengthPenalty(LogitsProcessor):
    """After ``start`` written tokens the end of sequence gains ``factor ** steps - 1`` of its own size a step.

    Args:
        exponential_decay_length_penalty: ``(start, factor)``.
        prompt_length: ids before the first written one.
    """

    def __init__(
        self, exponential_decay_length_penalty: tuple[int, float], eos_token_id: Sequence[int], prompt_length: int
    ) -> None:
        start, self.factor = exponential_decay_length_penalty
        self.start, self.eos = start + prompt_length, list(eos_token_id)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        steps = input_ids.shape[1] - self.start
        if steps <= 0:
            return scores
        scores = scores.clone()
        scores[:, self.eos] += scores[:, self.eos].abs() * (math.pow(self.factor, steps) - 1)
        return scores


class SuppressTokensLogitsProcessor(LogitsProcessor):
    """Forbids ``suppress_tokens`` everywhere."""

    def __init__(self, suppress_tokens: Sequence[int]) -> None:
        self.tokens = torch.tensor(list(suppress_tokens))

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return _without(scores, self.tokens.to(scores.device))


class SuppressTokensAtBeginLogitsProcessor(SuppressTokensLogitsProcessor):
    """Forbids ``begin_suppress_tokens`` as the token at ``begin_index``."""

    def __init__(self, begin_suppress_tokens: Sequence[int], begin_index: int) -> None:
        super().__init__(begin_suppress_tokens)
        self.begin_index = begin_index

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return super().__call__(input_ids, scores) if input_ids.shape[1] == self.begin_index else scores


class LogitNormalization(LogitsProcessor):
    """Makes scores log-probabilities again."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        # Where nothing is allowed, nothing becomes so.
        return scores.log_softmax(-1).masked_fill(scores.isneginf(), MINUS_INFINITY)


def _for_rows(encoder_ids: Tensor, scores: Tensor) -> Tensor:
    """An encoder's ids repeated for the beams of each prompt."""
    return encoder_ids.repeat_interleave(scores.shape[0] // encoder_ids.shape[0], 0)
