"""Schedules over an optimizer, by the field's names."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from headway.errors import InputError, did_you_mean
from headway.training import factors


def _base_rate(optimizer: Optimizer) -> float:
    """The learning rate that the factors multiply; the highest where groups differ."""
    return max(float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups)


def _scheduled(optimizer: Optimizer, factor: factors.Factor, last_epoch: int, *args: Any, **options: Any) -> LambdaLR:
    def at(step: int) -> float:
        return factor(step, *args, **options)

    return LambdaLR(optimizer, at, last_epoch)


def get_constant_schedule(optimizer: Optimizer, last_epoch: int = -1) -> LambdaLR:
    """The learning rate as it is."""
    return _scheduled(optimizer, factors.constant, last_epoch, 0)


def get_constant_schedule_with_warmup(optimizer: Optimizer, num_warmup_steps: int, last_epoch: int = -1) -> LambdaLR:
    """A linear warm-up, then constant."""
    return _scheduled(optimizer, factors.constant, last_epoch, num_warmup_steps)


def get_linear_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, last_epoch: int = -1
) -> LambdaLR:
    """A linear warm-up, then a line to 0."""
    return _scheduled(optimizer, factors.linear, last_epoch, num_warmup_steps, num_training_steps)


def get_cosine_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: float = 0.5, last_epoch: int = -1
) -> LambdaLR:
    """A linear warm-up, then a cosine of ``num_cycles`` periods: half a one goes to 0."""
    return _scheduled(optimizer, factors.cosine, last_epoch, num_warmup_steps, num_training_steps, num_cycles)


def get_cosine_with_hard_restarts_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: int = 1, last_epoch: int = -1
) -> LambdaLR:
    """A linear warm-up, then ``num_cycles`` cosines to 0, each from the full learning rate."""
    factor = factors.cosine_with_restarts
    return _scheduled(optimizer, factor, last_epoch, num_warmup_steps, num_training_steps, num_cycles)


def get_cosine_with_min_lr_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
) -> LambdaLR:
    """A linear warm-up, then a cosine to ``min_lr``, or to the share ``min_lr_rate`` of the learning rate.

    Raises:
        InputError: neither or both of the two are given.
    """
    if (min_lr is None) == (min_lr_rate is None):
        raise InputError("A cosine to a lowest learning rate takes one of min_lr and min_lr_rate.")
    lowest = min_lr_rate if min_lr is None else min_lr / _base_rate(optimizer)
    factor = partial(factors.cosine, cycles=num_cycles, lowest=lowest)
    return _scheduled(optimizer, factor, last_epoch, num_warmup_steps, num_training_steps)


def get_polynomial_decay_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    lr_end: float = 1e-7,
    power: float = 1.0,
    last_epoch: int = -1,
) -> LambdaLR:
    """A linear warm-up, then a power of what is left of the steps, down to the learning rate ``lr_end``.

    Raises:
        InputError: ``lr_end`` is no lower than the learning rate.
    """
    rate = _base_rate(optimizer)
    if lr_end >= rate:
        raise InputError(f"lr_end={lr_end} must be lower than the learning rate, which is {rate}.")
    factor = factors.polynomial
    return _scheduled(optimizer, factor, last_epoch, num_warmup_steps, num_training_steps, power, lr_end / rate)


def get_inverse_sqrt_schedule(
    optimizer: Optimizer, num_warmup_steps: int, timescale: int | None = None, last_epoch: int = -1
) -> LambdaLR:
    """A linear warm-up, then ``1 / sqrt`` of the steps in units of ``timescale``, the warm-up's steps or 10,000."""
    scale = timescale or num_warmup_steps or 10_000
    return _scheduled(optimizer, factors.inverse_sqrt, last_epoch, num_warmup_steps, scale)


def get_wsd_schedule(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_decay_steps: int | None = None,
    num_training_steps: int | None = None,
    num_stable_steps: int | None = None,
    warmup_type: str = "linear",
    decay_type: str = "cosine",
    min_lr_ratio: float = 0.0,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
) -> LambdaLR:
    """Warm-up, stable, decay; each type is "linear", "cosine" or "1-sqrt".

    Args:
        num_decay_steps: a tenth of the training's where it is not given.
        num_stable_steps: what is left of ``num_training_steps`` where it is not given.
        min_lr_ratio: the share of the learning rate where it starts and ends.

    Raises:
        InputError: a type is unknown, or the steps do not add up.
    """
    for name, kind in (("warmup_type", warmup_type), ("decay_type", decay_type)):
        if kind not in factors.RISES:
            raise InputError(f"{name}={kind!r} is unknown; use one of {', '.join(factors.RISES)}.")
    if num_training_steps is None and (num_stable_steps is None or num_decay_steps is None):
        raise InputError("Pass num_training_steps, or both of num_stable_steps and num_decay_steps.")
    after = (num_training_steps or 0) - num_warmup_steps
    decay = min(math.ceil((num_training_steps or 0) / 10), after) if num_decay_steps is None else num_decay_steps
    stable = after - decay if num_stable_steps is None else num_stable_steps
    if min(stable, decay) < 0:
        raise InputError(
            f"{num_training_steps} steps of training do not hold {num_warmup_steps} of warm-up and then the decay."
        )
    factor = partial(
        factors.warmup_stable_decay,
        warmup_type=warmup_type,
        decay_type=decay_type,
        lowest=min_lr_ratio,
        cycles=num_cycles,
    )
    return _scheduled(optimizer, factor, last_epoch, num_warmup_steps, stable, decay)


SCHEDULES: dict[str, Callable[..., LambdaLR]] = {
    "linear": get_linear_schedule_with_warmup,
    "cosine": get_cosine_schedule_with_warmup,
    "cosine_with_restarts": get_cosine_with_hard_restarts_schedule_with_warmup,
    "cosine_with_min_lr": get_cosine_with_min_lr_schedule_with_warmup,
    "polynomial": get_polynomial_decay_schedule_with_warmup,
    "constant": get_constant_schedule,
    "constant_with_warmup": get_constant_schedule_with_warmup,
    "inverse_sqrt": get_inverse_sqrt_schedule,
    "warmup_stable_decay": get_wsd_schedule,
}


def get_scheduler(
    name: str,
    optimizer: Optimizer,
    num_warmup_steps: int | None = None,
    num_training_steps: int | None = None,
    scheduler_specific_kwargs: Mapping[str, Any] | None = None,
) -> LRScheduler:
    """The schedule called ``name``, one of ``SCHEDULES``.

    Args:
        num_warmup_steps, num_training_steps: where the schedule needs them.
        scheduler_specific_kwargs: its other arguments.

    Raises:
        InputError: the name or an argument is unknown, or one is missing.
    """
    name = str(name)
    if name not in SCHEDULES:
        raise InputError(
            f"The schedule {name!r} is unknown.{did_you_mean(name, SCHEDULES)} There are {', '.join(SCHEDULES)}."
        )
    make, given = SCHEDULES[name], dict(scheduler_specific_kwargs or {})
    known = {key: value for key, value in inspect.signature(make).parameters.items() if key != "optimizer"}
    for key in given:
        if key not in known:
            raise InputError(f"The schedule {name!r} takes no argument {key!r}.{did_you_mean(key, known)}")
    steps = {"num_warmup_steps": num_warmup_steps, "num_training_steps": num_training_steps}
    given = {key: value for key, value in steps.items() if key in known and value is not None} | given
    for key, parameter in known.items():
        if parameter.default is parameter.empty and key not in given:
            raise InputError(f"The schedule {name!r} needs {key}.")
    return make(optimizer, **given)


def make_schedule(optimizer: Optimizer, arguments: Any, steps: int) -> LRScheduler:
    """The schedule that ``arguments`` ask for, over ``steps`` steps of training.

    Args:
        arguments: an object with ``lr_scheduler_type``, ``lr_scheduler_kwargs`` (a dictionary or None) and
            ``warmup_steps``, a number of steps, or below 1 a share of all.

    Raises:
        InputError: the schedule or an argument is unknown.
    """
    warmup = arguments.warmup_steps
    warmup = math.ceil(warmup * steps) if 0 < warmup < 1 else int(warmup)
    return get_scheduler(arguments.lr_scheduler_type, optimizer, warmup, steps, arguments.lr_scheduler_kwargs)
