"""Sparse experts: routers, which go from a token's scores to the numbers and weights of its experts, and the mixture.

A router gives ``(logits [tokens, experts], weights [tokens, top], chosen [tokens, top])``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway import spec
from headway.errors import ConfigError
from headway.nn.batch import Padded
from headway.nn.builders import build, builds
from headway.nn.linear import Linear
from headway.nn.run import Run

Routed = tuple[Tensor, Tensor, Tensor]


class Scores(Linear):
    """One number for each expert, in float32: rounding that flips a choice changes all that comes after it."""

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.float()
        return F.linear(x.float(), self.weight.float(), bias)


@builds(spec.SoftmaxRouter)
class SoftmaxRouter(nn.Module):
    """A softmax over all experts."""

    def __init__(self, router: spec.SoftmaxRouter, width: int, count: int) -> None:
        super().__init__()
        _check(router, count)
        self.scores = Scores(width, count, router.bias)
        self.router = router

    def forward(self, x: Tensor) -> Routed:
        router, logits = self.router, self.scores(x)
        ranks = logits if router.groups is None else _in_best_groups(logits, router.groups, _best)
        best, chosen = ranks.topk(router.top, -1)
        # Probabilities of the chosen that are made to sum to one are a softmax over these alone.
        weights = best.softmax(-1) if router.renormalise else logits.softmax(-1).gather(-1, chosen)
        return logits, weights * router.scale, chosen


@builds(spec.SigmoidRouter)
class SigmoidRouter(nn.Module):
    """A sigmoid for each expert, and a correction of the choice that training keeps balanced."""

    # A correction is large beside the differences that it decides on.
    float32: ClassVar[tuple[str, ...]] = ("correction",)

    def __init__(self, router: spec.SigmoidRouter, width: int, count: int) -> None:
        super().__init__()
        _check(router, count)
        self.scores = Scores(width, count, bias=False)
        self.correction: Tensor
        self.register_buffer("correction", torch.zeros(count))
        self.router = router

    def forward(self, x: Tensor) -> Routed:
        router, logits = self.router, self.scores(x)
        likely = logits.sigmoid()
        ranks = likely + self.correction
        if router.groups is not None:
            ranks = _in_best_groups(ranks, router.groups, _best_two)
        chosen = ranks.topk(router.top, -1).indices
        weights = likely.gather(-1, chosen)
        if router.renormalise:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        return logits, weights * router.scale, chosen

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        before = self.correction
        super()._apply(fn, recurse)
        if self.correction.dtype != before.dtype:
            self.correction = before.to(self.correction.device)
        return self


@builds(spec.MixtureOfExperts)
class MixtureOfExperts(nn.Module):
    """Each token goes to its best experts, whose results are added by the router's weights."""

    def __init__(self, moe: spec.MixtureOfExperts, width: int) -> None:
        super().__init__()
        self.router = build(moe.router, width, moe.count)
        self.experts = nn.ModuleList(build(moe.expert, width) for _ in range(moe.count))
        self.shared = None if moe.shared is None else build(moe.shared, width)

    def forward(self, x: Tensor, run: Run) -> Tensor:
        tokens = x.reshape(-1, x.shape[-1])
        logits, weights, chosen = self.router(tokens)
        if run.trace.router is not None:
            run.trace.router.append(logits)
        results = self._each_results if isinstance(run.batch, Padded) else self._results
        mixed: Tensor = (weights.to(x.dtype)[:, None] @ results(tokens, chosen)).view_as(x)
        return mixed if self.shared is None else mixed + self.shared(x, run)

    def _results(self, tokens: Tensor, chosen: Tensor) -> Tensor:
        """What each token's experts make of it, ``[tokens, top, width]``: one product for all tokens of an expert."""
        count, top = chosen.shape
        order = chosen.flatten().argsort(stable=True)
        sizes = chosen.flatten().bincount(minlength=len(self.experts)).tolist()
        # While learning, idle experts run too: every parameter has a gradient, wherever tokens go.
        learns = torch.is_grad_enabled()
        parts = zip(self.experts, tokens[order // top].split(sizes), strict=True)
        results = torch.cat([expert(part) for expert, part in parts if learns or len(part)])
        return results[order.argsort()].view(count, top, -1)

    def _each_results(self, tokens: Tensor, chosen: Tensor) -> Tensor:
        """The same where a graph is traced: every expert runs, over however many tokens are its own."""
        count, top = chosen.shape
        results = tokens.new_zeros(count * top, tokens.shape[-1])
        for number, expert in enumerate(self.experts):
            own = (chosen.flatten() == number).nonzero().squeeze(1)
            results = results.index_copy(0, own, expert(tokens[own // top]))
        return results.view(count, top, -1)


def _check(router: spec.Router, count: int) -> None:
    """Raise ``ConfigError`` where ``count`` experts cannot be chosen from as ``router`` says."""
    groups, choice = router.groups, f"{count} experts"
    if groups is not None:
        if groups.count < 1 or count % groups.count or not 1 <= groups.top <= groups.count:
            raise ConfigError(
                f"{count} experts cannot stand in {groups.count} equal groups of which {groups.top} are open; change "
                "one of the three."
            )
        count = count // groups.count * groups.top
        choice = f"{count} experts in open groups"
    if not 1 <= router.top <= count:
        raise ConfigError(f"A token cannot go to {router.top} of {choice}; give it 1 to {count} of them.")


def _best(grouped: Tensor) -> Tensor:
    return grouped.amax(-1)


def _best_two(grouped: Tensor) -> Tensor:
    return grouped.topk(min(2, grouped.shape[-1]), -1).values.sum(-1)


def _in_best_groups(ranks: Tensor, groups: spec.Groups, worth: Callable[[Tensor], Tensor]) -> Tensor:
    """``ranks`` with -inf outside the groups that are ``worth`` most."""
    grouped = ranks.unflatten(-1, (groups.count, -1))
    best = worth(grouped).topk(groups.top, -1).indices
    closed = torch.ones(grouped.shape[:-1], dtype=torch.bool, device=ranks.device).scatter(-1, best, False)
    return grouped.masked_fill(closed[..., None], float("-inf")).flatten(-2)
