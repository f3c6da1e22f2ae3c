"""Greedy text with guesses: several tokens are guessed and checked in one pass, so the result is greedy's own.

Leviathan et al. 2022, arXiv:2211.17192; guesses come from a smaller model, or from the text so far (prompt lookup).
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from headway.generation.decoder import NOTHING, Decoder, right_aligned
from headway.generation.job import Job, Written
from headway.nn.cached import SLACK


class Guesser(Protocol):
    """What guesses how texts go on."""

    def __call__(self, texts: list[list[int]], most: int) -> list[list[int]]:
        """Up to ``most`` tokens after each text."""


def assisted(job: Job, guesser: Guesser) -> Written:
    """Write greedily; a pass reads each row's last token and its guesses, and what greedy had written too is kept."""
    device, config = job.ids.device, job.config
    texts = [[token for token in row if token >= 0] for row in job.ids.tolist()]
    rows = [_Row(job, number, text) for number, text in enumerate(texts)]
    most = min(config.prompt_lookup_num_tokens or config.num_assistant_tokens or 1, SLACK)
    guesses: list[list[int]] = [[] for _ in rows]
    scores = job.scores[:, None]
    while True:
        best = scores.argmax(-1).tolist()
        new = [row.accept(best[row.number], scores[row.number], guesses[row.number]) for row in rows]
        if job.streamer is not None:
            for at in range(max(map(len, new))):
                job.streamer.put(torch.tensor([tokens[at] if at < len(tokens) else NOTHING for tokens in new]))
        over = all(row.done for row in rows)
        if job.keeps_rows or (scores.shape[1] > 1 and not over):
            # Of what was read, the last token of the text before and the right guesses stay.
            job.decoder.take_back([scores.shape[1] - len(tokens) for tokens in new])
        if over:
            break
        guesses = guesser(texts, most)
        size = 1 + max(map(len, guesses))
        block = [text[-1:] + guess for text, guess in zip(texts, guesses, strict=True)]
        block = [tokens + [job.pad] * (size - len(tokens)) for tokens in block]
        scores = job.decoder.feed(torch.tensor(block, device=device), every=True)
    written = [torch.tensor(row.text[row.start :], device=device) for row in rows]
    tail = torch.nn.utils.rnn.pad_sequence(written, batch_first=True, padding_value=job.pad)
    return Written(torch.cat((job.ids, tail), 1))


class _Row:
    """One row's text, and what ends it."""

    def __init__(self, job: Job, number: int, text: list[int]) -> None:
        self.job, self.number, self.text, self.start = job, number, text, len(text)
        self.room = int(job.limits[number]) - job.width
        self.done = False
        self.processors = job.row_processors(number)

    def accept(self, best: list[int], scores: Tensor, guess: list[int]) -> list[int]:
        """Append what greedy writes, as long as the guesses are right; return it."""
        new: list[int] = []
        for at in range(0 if self.done else len(guess) + 1):
            token = best[at] if not self.processors else self._best(scores[at])
            new.append(token)
            self.text.append(token)
            self.done = self._ends(token)
            if self.done or at == len(guess) or guess[at] != token:
                break
        return new

    def _columns(self) -> Tensor:
        """The row's ids as processors and criteria see them, ``[1, n]``."""
        device = self.job.ids.device
        return torch.cat((self.job.ids[self.number], torch.tensor(self.text[self.start :], device=device).long()))[None]

    def _best(self, scores: Tensor) -> int:
        return int(self.processors(self._columns(), scores[None].float()).argmax())

    def _ends(self, token: int) -> bool:
        if token in self.job.config.eos_ids or len(self.text) - self.start >= self.room:
            return True
        return bool(self.job.stopping and self.job.stopping(self._columns(), None).any())


class PromptLookup:
    """Guesses that the text goes on as it did after the same few tokens before.

    Args:
        longest: tokens to look for at most, then ever fewer.
    """

    def __init__(self, longest: int) -> None:
        self.longest = longest

    def __call__(self, texts: list[list[int]], most: int) -> list[list[int]]:
        return [self._guess(text, most) for text in texts]

    def _guess(self, text: list[int], most: int) -> list[int]:
        for size in range(min(self.longest, len(text) - 1), 0, -1):
            tail = text[-size:]
            for at in range(len(text) - size - 1, -1, -1):
                if text[at : at + size] == tail:
                    return text[at + size : at + size + most]
        return []


class Draft:
    """Guesses what a smaller model writes greedily.

    Args:
        decoder: of the smaller model; it has read ``texts`` and nothing else.
        scores: of the token after each text, ``[rows, vocabulary]``.
    """

    def __init__(self, decoder: Decoder, texts: list[list[int]], scores: Tensor) -> None:
        self.decoder, self.scores = decoder, scores
        self.read = [list(text) for text in texts]

    def __call__(self, texts: list[list[int]], most: int) -> list[list[int]]:
        device = self.scores.device
        # One token at least is read anew, so that there are scores to go on from.
        same = [min(_common(read, text), len(text) - 1) for read, text in zip(self.read, texts, strict=True)]
        self.decoder.take_back([len(read) - count for read, count in zip(self.read, same, strict=True)])
        pending = right_aligned([torch.tensor(text[n:], device=device) for text, n in zip(texts, same, strict=True)])
        mask = None if bool((pending >= 0).all()) else (pending >= 0).long()
        self.scores = self.decoder.feed(pending.clamp(min=0), mask)
        guesses = [self.scores.argmax(-1)]
        for _ in range(most - 1):
            guesses.append(self.decoder.feed(guesses[-1][:, None]).argmax(-1))
        found: list[list[int]] = torch.stack(guesses, 1).tolist()
        self.read = [text + guess[:-1] for text, guess in zip(texts, found, strict=True)]
        return found


def _common(one: list[int], other: list[int]) -> int:
    """How many tokens two texts share from their start."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
