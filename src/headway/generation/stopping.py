"""When a row is finished, besides its end of sequence and its length."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class StoppingCriteria:
    """Says which rows are finished: called with ids ``[rows, n]`` and scores, returns booleans ``[rows]`` or one."""

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor | bool:
        raise NotImplementedError


class StoppingCriteriaList(list[Callable[..., Any]]):
    """Criteria, any of which finishes a row."""

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        done = torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
        for criterion in self:
            done = done | torch.as_tensor(criterion(input_ids, scores, **kwargs), device=done.device)
        return done


class MaxLengthCriteria(StoppingCriteria):
    """Finishes all rows that have ``max_length`` ids, those of the prompt included."""

    def __init__(self, max_length: int) -> None:
        self.max_length = max_length

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> bool:
        return input_ids.shape[-1] >= self.max_length


class EosTokenCriteria(StoppingCriteria):
    """Finishes a row whose last id is ``eos_token_id``, or one of several."""

    def __init__(self, eos_token_id: int | Sequence[int] | Tensor) -> None:
        self.eos_token_id = torch.atleast_1d(torch.as_tensor(eos_token_id))

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        return torch.isin(input_ids[:, -1], self.eos_token_id.to(input_ids.device))


class MaxTimeCriteria(StoppingCriteria):
    """Finishes all rows ``max_time`` seconds after it was made."""

    def __init__(self, max_time: float, initial_timestamp: float | None = None) -> None:
        self.max_time = max_time
        self.start = time.time() if initial_timestamp is None else initial_timestamp

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> bool:
        return time.time() - self.start > self.max_time


class StopStringCriteria(StoppingCriteria):
    """Finishes a row once one of ``stop_strings`` stands in what was written.

    Args:
        tokenizer: decodes ids to text.
        prompt_length: ids before the first written one.
    """

    def __init__(self, tokenizer: Any, stop_strings: str | Sequence[str], prompt_length: int = 0) -> None:
        self.tokenizer, self.prompt_length = tokenizer, prompt_length
        self.stop_strings = [stop_strings] if isinstance(stop_strings, str) else list(stop_strings)
        # Every token but the last was looked at before, and few stand for less than one character.
        self.reach = 2 * max(map(len, self.stop_strings)) + 8

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        tails = input_ids[:, self.prompt_length :][:, -self.reach :].tolist()
        texts = [self.tokenizer.decode([token for token in tail if token >= 0]) for tail in tails]
        found = [any(stop in text for stop in self.stop_strings) for text in texts]
        return torch.tensor(found, device=input_ids.device)
