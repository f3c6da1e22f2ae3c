"""The losses that the field computes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from headway.config import PreTrainedConfig
from headway.errors import ConfigError, InputError, did_you_mean
from headway.nn.batch import Batch

IGNORED = -100
_PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the labels that are not -100; ``logits [..., classes]`` in float32, ``labels [...]`` int64.

    Raises:
        InputError: a label is beyond the classes, or there are more or fewer labels than rows of logits.
    """
    if labels.numel() != logits.shape[:-1].numel() or labels.is_floating_point():
        raise _misfit(labels, f"integers of shape {list(logits.shape[:-1])}")
    logits, labels = logits.reshape(-1, logits.shape[-1]).float(), labels.reshape(-1).long()
    try:
        return F.cross_entropy(logits, labels, ignore_index=IGNORED)
    except IndexError:
        raise InputError(
            f"The labels run from {int(labels[labels != IGNORED].min())} to {int(labels.max())}, but the head tells "
            f"{logits.shape[-1]} classes apart; pass num_labels when loading, or mend the labels."
        ) from None


def classification(logits: Tensor, labels: Tensor, config: PreTrainedConfig) -> Tensor:
    """Regression, single or multi label, by ``config.problem_type``, else by the number and type of labels."""
    problem = config.problem_type
    if problem is None:
        integral = not labels.is_floating_point()
        problem = _PROBLEMS[0] if logits.shape[-1] == 1 else _PROBLEMS[1] if integral else _PROBLEMS[2]
    match problem:
        case "regression":
            if labels.numel() != logits.numel():
                raise _misfit(labels, f"numbers of shape {list(logits.shape)}")
            return F.mse_loss(logits.float().squeeze(), labels.to(torch.float32).squeeze())
        case "single_label_classification":
            return cross_entropy(logits, labels)
        case "multi_label_classification":
            if labels.shape != logits.shape:
                raise _misfit(labels, f"numbers of shape {list(logits.shape)}")
            return F.binary_cross_entropy_with_logits(logits.float(), labels.float())
    raise ConfigError(f"problem_type={problem!r} is unknown.{did_you_mean(problem, _PROBLEMS)} Use one of {_PROBLEMS}.")


def _misfit(labels: Tensor, wanted: str) -> InputError:
    kind = "numbers" if labels.is_floating_point() else "integers"
    return InputError(f"Expected labels to be {wanted}, got {kind} of shape {list(labels.shape)}.")


def by_token(logits: Tensor, labels: Tensor, batch: Batch) -> Tensor:
    """``cross_entropy`` over the real tokens: ``logits`` in the batch's layout, ``labels [rows, width]``."""
    return cross_entropy(logits, batch.pack(fitting(labels, batch)))


def next_token(logits: Tensor, labels: Tensor, batch: Batch) -> Tensor:
    """``cross_entropy`` of each token's logits against its successor's label."""
    labels = fitting(labels, batch)
    if batch.keep is not None:
        labels = labels.masked_fill(~batch.keep, IGNORED)
    following = F.pad(labels[:, 1:], (0, 1), value=IGNORED)
    return cross_entropy(logits, batch.pack(following))


def fitting(labels: Tensor, batch: Batch) -> Tensor:
    """``labels``, checked to be one for each token of ``batch``; raises ``InputError``."""
    if labels.shape != (batch.rows, batch.width):
        raise InputError(
            f"Expected labels to have shape [{batch.rows}, {batch.width}], one for each token, got "
            f"{list(labels.shape)}; use {IGNORED} where there is none."
        )
    return labels


def span(start: Tensor, end: Tensor, starts: Tensor, ends: Tensor, keep: Tensor | None = None) -> Tensor:
    """Mean of the cross entropies of an answer's start and end; positions beyond the text do not count.

    Padding, where ``keep [rows, width]`` is False, is no candidate, so that the loss does not depend on it.
    """
    width = start.shape[1]

    def one(logits: Tensor, at: Tensor, name: str) -> Tensor:
        if at.numel() != len(logits):
            raise InputError(f"Expected {name}_positions to have shape [{len(logits)}], got {list(at.shape)}.")
        at = at.reshape(len(logits)).clamp(0, width)
        if keep is not None:
            logits = logits.masked_fill(~keep, float("-inf"))
            at = at.where(F.pad(keep, (0, 1)).gather(1, at[:, None])[:, 0], width)
        return F.cross_entropy(logits.float(), at, ignore_index=width)

    return (one(start, starts, "start") + one(end, ends, "end")) / 2


def load_balance(router_logits: list[Tensor], top: int) -> Tensor:
    """Switch Transformers' auxiliary loss over all layers (Fedus et al. 2021, arXiv:2101.03961, equations 4 to 6)."""
    logits = torch.cat(router_logits)
    probabilities = logits.softmax(-1)
    chosen = F.one_hot(probabilities.topk(top, -1).indices, logits.shape[-1]).float()
    return (chosen.mean(0) * probabilities.mean(0)).sum() * logits.shape[-1]
