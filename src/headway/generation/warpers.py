"""What sampling draws from: each leaves the likelier tokens and forbids the rest.

Called as processors are: the ids so far ``[rows, n]`` and scores ``[rows, vocabulary]``. ``min_tokens_to_keep`` is the
least number of tokens that stay.
"""

from __future__ import annotations

import torch
from torch import Tensor

from headway.generation.processors import MINUS_INFINITY, LogitsProcessor


class TemperatureLogitsWarper(LogitsProcessor):
    """Divides scores by ``temperature``: above 1 flattens, below 1 sharpens."""

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return scores / self.temperature


class TopKLogitsWarper(LogitsProcessor):
    """Leaves the ``top_k`` likeliest (Fan et al. 2018, arXiv:1805.04833)."""

    def __init__(self, top_k: int, min_tokens_to_keep: int = 1) -> None:
        self.top_k = max(top_k, min_tokens_to_keep)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        least = scores.topk(min(self.top_k, scores.shape[1]), -1).values[:, -1:]
        return scores.masked_fill(scores < least, MINUS_INFINITY)


class TopPLogitsWarper(LogitsProcessor):
    """Leaves the likeliest that together reach ``top_p`` (Holtzman et al. 2019, arXiv:1904.09751)."""

    def __init__(self, top_p: float, min_tokens_to_keep: int = 1) -> None:
        self.top_p, self.least = top_p, min_tokens_to_keep

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        ascending, order = scores.sort(descending=False)
        going = ascending.softmax(-1).cumsum(-1) <= 1 - self.top_p
        going[:, -self.least :] = False
        return scores.masked_fill(going.scatter(1, order, going), MINUS_INFINITY)


class MinPLogitsWarper(LogitsProcessor):
    """Leaves those at least ``min_p`` times as likely as the likeliest (Nguyen et al. 2024, arXiv:2407.01082)."""

    def __init__(self, min_p: float, min_tokens_to_keep: int = 1) -> None:
        self.min_p, self.least = min_p, min_tokens_to_keep

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        probabilities = scores.softmax(-1)
        going = probabilities < self.min_p * probabilities.amax(-1, keepdim=True)
        return _keep(scores, going, self.least)


class TypicalLogitsWarper(LogitsProcessor):
    """Leaves those nearest to the expected surprise, up to ``mass`` (Meister et al. 2022, arXiv:2202.00666)."""

    def __init__(self, mass: float, min_tokens_to_keep: int = 1) -> None:
        self.mass, self.least = mass, min_tokens_to_keep

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        logs = scores.log_softmax(-1)
        probabilities = logs.exp()
        entropy = -(logs * probabilities).nansum(-1, keepdim=True)
        distance, order = (-logs - entropy).abs().sort(descending=False)
        reached = (probabilities.gather(1, order).cumsum(-1) < self.mass).sum(-1)
        last = reached.clamp(max=scores.shape[1] - 1)[:, None]
        going = distance > distance.gather(1, last)
        going[:, : self.least] = False
        return scores.masked_fill(going.scatter(1, order, going), MINUS_INFINITY)


class EpsilonLogitsWarper(LogitsProcessor):
    """Leaves those with a probability of ``epsilon`` at least (Hewitt et al. 2022, arXiv:2210.15191)."""

    def __init__(self, epsilon: float, min_tokens_to_keep: int = 1) -> None:
        self.epsilon, self.least = epsilon, min_tokens_to_keep

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return _keep(scores, scores.softmax(-1) < self.epsilon, self.least)


class EtaLogitsWarper(LogitsProcessor):
    """As ``EpsilonLogitsWarper``, with a bound that falls with the entropy (the same paper)."""

    def __init__(self, epsilon: float, min_tokens_to_keep: int = 1) -> None:
        self.epsilon, self.least = epsilon, min_tokens_to_keep

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        probabilities = scores.softmax(-1)
        entropy = torch.distributions.Categorical(logits=scores, validate_args=False).entropy()
        bound = torch.clamp(self.epsilon**0.5 * (-entropy).exp(), max=self.epsilon)[:, None]
        return _keep(scores, probabilities < bound, self.least)


class TopNSigmaLogitsWarper(LogitsProcessor):
    """Leaves those within ``n`` standard deviations of the best score (Tang et al. 2024, arXiv:2411.07641)."""

    def __init__(self, n: float) -> None:
        self.n = n

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        finite = scores.isfinite()
        count = finite.sum(-1, keepdim=True)
        centred = torch.where(finite, scores, 0.0)
        mean = centred.sum(-1, keepdim=True) / count
        deviation = (torch.where(finite, scores - mean, 0.0).square().sum(-1, keepdim=True) / count).sqrt()
        least = scores.amax(-1, keepdim=True) - self.n * deviation
        return scores.masked_fill(scores < least, MINUS_INFINITY)


def _keep(scores: Tensor, going: Tensor, least: int) -> Tensor:
    """Forbid the ``going``, but not the ``least`` likeliest."""
    best = scores.topk(min(least, scores.shape[1]), -1).values[:, -1:]
    return scores.masked_fill(going & (scores < best), MINUS_INFINITY)
