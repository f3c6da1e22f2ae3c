"""The losses that the field computes, whole or as one pass's share of a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from headway.config import PreTrainedConfig
from headway.errors import ConfigError, InputError, did_you_mean
from headway.nn.batch import Batch

IGNORED = -100
_PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")


@dataclass(frozen=True)
class Target:
    """The labels of one argument, and what their loss is to be divided by.

    Attributes:
        labels: as the caller gave them.
        total: how many labels the whole step counts where this pass is a part of it, so that the losses of its parts
            add up to that of the whole; None takes the mean over this pass.
        smoothing: the share of a label's weight that goes to all classes alike (Szegedy et al. 2015,
            arXiv:1512.00567).
    """

    labels: Tensor
    total: float | Tensor | None = None
    smoothing: float = 0.0

    @property
    def reduction(self) -> str:
        """How torch's losses put the elements together before ``share``."""
        return "mean" if self.total is None else "sum"

    def share(self, loss: Tensor) -> Tensor:
        """A loss that was reduced by ``reduction``, as this pass's share of the step's."""
        return loss if self.total is None else loss / self.total


Targets = Mapping[str, Target]


def cross_entropy(logits: Tensor, target: Target) -> Tensor:
    """Mean over the labels that are not -100; ``logits [..., classes]`` in float32, labels ``[...]`` int64.

    Raises:
        InputError: a label is beyond the classes, or there are more or fewer labels than rows of logits.
    """
    labels = target.labels
    if labels.numel() != logits.shape[:-1].numel() or labels.is_floating_point():
        raise _misfit(labels, f"integers of shape {list(logits.shape[:-1])}")
    logits, labels = logits.reshape(-1, logits.shape[-1]).float(), labels.reshape(-1).long()
    try:
        return target.share(
            F.cross_entropy(
                logits,
                labels,
                ignore_index=IGNORED,
                reduction=target.reduction,
                label_smoothing=target.smoothing,
            )
        )
    except IndexError:
        raise InputError(
            f"The labels run from {int(labels[labels != IGNORED].min())} to {int(labels.max())}, but the head tells "
            f"{logits.shape[-1]} classes apart; pass num_labels when loading, or mend the labels."
        ) from None


def classification(logits: Tensor, target: Target, config: PreTrainedConfig) -> Tensor:
    """Regression, single or multi label, by ``config.problem_type``, else by the number and type of labels.

    Raises:
        InputError: labels of another shape, or ``label_smoothing`` where there are no classes that exclude each other.
        ConfigError: ``problem_type`` is unknown.
    """
    labels, problem = target.labels, problem_of(target.labels, logits.shape[-1], config)
    if problem == "single_label_classification":
        return cross_entropy(logits, target)
    if target.smoothing:
        raise InputError(f"label_smoothing spreads a label over classes, which {problem} has none of; leave it at 0.")
    if problem == "regression":
        if labels.numel() != logits.numel():
            raise _misfit(labels, f"numbers of shape {list(logits.shape)}")
        errors = F.mse_loss(logits.float().squeeze(), labels.to(torch.float32).squeeze(), reduction=target.reduction)
        return target.share(errors)
    if labels.shape != logits.shape:
        raise _misfit(labels, f"numbers of shape {list(logits.shape)}")
    return binary(logits, target)


def problem_of(labels: Tensor, classes: int, config: PreTrainedConfig) -> str:
    """What a head with ``classes`` outputs learns from ``labels``; raises ``ConfigError``."""
    problem = config.problem_type
    if problem is None:
        integral = not labels.is_floating_point()
        return _PROBLEMS[0] if classes == 1 else _PROBLEMS[1] if integral else _PROBLEMS[2]
    if problem not in _PROBLEMS:
        raise ConfigError(
            f"problem_type={problem!r} is unknown.{did_you_mean(problem, _PROBLEMS)} Use one of {_PROBLEMS}."
        )
    return problem


def classification_count(labels: Tensor, config: PreTrainedConfig) -> int:
    """How many labels ``classification`` is a mean over."""
    if problem_of(labels, config.num_labels, config) == "single_label_classification":
        return real(labels)
    return labels.numel()


def binary(logits: Tensor, target: Target) -> Tensor:
    """Each logit is judged by itself, by a label of the same place that is 0, 1 or between; the mean over all."""
    losses = F.binary_cross_entropy_with_logits(
        logits.float(), target.labels.to(torch.float32), reduction=target.reduction
    )
    return target.share(losses)


def real(labels: Tensor) -> int:
    """How many of ``labels`` are not -100."""
    return int((labels != IGNORED).sum())


def _misfit(labels: Tensor, wanted: str) -> InputError:
    kind = "numbers" if labels.is_floating_point() else "integers"
    return InputError(f"Expected labels to be {wanted}, got {kind} of shape {list(labels.shape)}.")


def token_labels(labels: Tensor, batch: Batch) -> Tensor:
    """``labels [rows, width]`` of the real tokens, in the batch's layout."""
    return batch.pack(fitting(labels, batch))


def next_labels(labels: Tensor, batch: Batch) -> Tensor:
    """For each real token its successor's of ``labels [rows, width]``, in the batch's layout."""
    labels = fitting(labels, batch)
    if batch.keep is not None:
        labels = labels.masked_fill(~batch.keep, IGNORED)
    return batch.pack(F.pad(labels[:, 1:], (0, 1), value=IGNORED))


def fitting(labels: Tensor, batch: Batch) -> Tensor:
    """``labels``, checked to be one for each token of ``batch``; raises ``InputError``."""
    if labels.shape != (batch.rows, batch.width):
        raise InputError(
            f"Expected labels to have shape [{batch.rows}, {batch.width}], one for each token, got "
            f"{list(labels.shape)}; use {IGNORED} where there is none."
        )
    return labels


def place_labels(name: str, places: Tensor, batch: Batch) -> Tensor:
    """``places [rows]`` in a text, -100 where they are beyond it or at padding; raises ``InputError``."""
    if places.numel() != batch.rows:
        raise InputError(f"Expected {name} to have shape [{batch.rows}], got {list(places.shape)}.")
    places = places.reshape(batch.rows).clamp(0, batch.width)
    if batch.keep is None:
        return places.masked_fill(places == batch.width, IGNORED)
    return places.where(F.pad(batch.keep, (0, 1)).gather(1, places[:, None])[:, 0], IGNORED)


def place(logits: Tensor, target: Target, batch: Batch) -> Tensor:
    """``cross_entropy`` of places in texts, ``logits [rows, width]``.

    Padding is no candidate, so that the loss does not depend on it. Places are not smoothed: texts differ in how many
    they have.
    """
    if batch.keep is not None:
        logits = logits.masked_fill(~batch.keep, float("-inf"))
    return cross_entropy(logits, replace(target, smoothing=0.0))


def load_balance(router_logits: list[Tensor], top: int) -> Tensor:
    """Switch Transformers' auxiliary loss over all layers (Fedus et al. 2021, arXiv:2101.03961, equations 4 to 6)."""
    logits = torch.cat(router_logits)
    probabilities = logits.softmax(-1)
    chosen = F.one_hot(probabilities.topk(top, -1).indices, logits.shape[-1]).float()
    return (chosen.mean(0) * probabilities.mean(0)).sum() * logits.shape[-1]
