"""Schedules of the learning rate: each step's rate is transformers'."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import headway
from headway.errors import InputError
from headway.training.schedules import make_schedule
from small import one_sentence

RATE = 0.02
CASES: list[tuple[str, dict[str, Any]]] = [
    ("linear", {}),
    ("cosine", {}),
    ("cosine", {"num_cycles": 1.5}),
    ("cosine_with_restarts", {"num_cycles": 3}),
    ("cosine_with_min_lr", {"min_lr": 0.005}),
    ("cosine_with_min_lr", {"min_lr_rate": 0.1, "num_cycles": 0.7}),
    ("polynomial", {}),
    ("polynomial", {"power": 2.5, "lr_end": 0.001}),
    ("constant", {}),
    ("constant_with_warmup", {}),
    ("inverse_sqrt", {}),
    ("inverse_sqrt", {"timescale": 50}),
    ("warmup_stable_decay", {"num_decay_steps": 9}),
    (
        "warmup_stable_decay",
        {"num_decay_steps": 9, "decay_type": "linear", "warmup_type": "cosine", "min_lr_ratio": 0.2},
    ),
    ("warmup_stable_decay", {"num_decay_steps": 9, "decay_type": "1-sqrt", "warmup_type": "1-sqrt"}),
    ("warmup_stable_decay", {"num_decay_steps": 9, "num_cycles": 1.2}),
]


def optimizer(rate: float = RATE) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)


def rates(schedule: Any, of: torch.optim.Optimizer, steps: int) -> list[float]:
    """The rate before each step."""
    found = []
    for _ in range(steps):
        found.append(of.param_groups[0]["lr"])
        of.step()
        schedule.step()
    return found


@pytest.mark.parametrize("warmup", [0, 1, 7])
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_rates_equal_transformers(name: str, options: dict[str, Any], warmup: int) -> None:
    oracle = pytest.importorskip("transformers").get_scheduler
    one, other = optimizer(), optimizer()
    mine = rates(headway.get_scheduler(name, one, warmup, 30, options), one, 33)
    theirs = rates(oracle(name, other, warmup, 30, scheduler_specific_kwargs=options), other, 33)
    assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_a_schedule_that_is_saved_goes_on_as_if_it_were_not(name: str, options: dict[str, Any]) -> None:
    whole = optimizer()
    expected = rates(headway.get_scheduler(name, whole, 4, 30, options), whole, 30)
    first = optimizer()
    schedule = headway.get_scheduler(name, first, 4, 30, options)
    start = rates(schedule, first, 13)
    second = optimizer()
    resumed = headway.get_scheduler(name, second, 4, 30, options)
    resumed.load_state_dict(schedule.state_dict())
    second.load_state_dict(first.state_dict())
    assert start + rates(resumed, second, 17) == expected


def test_groups_keep_the_proportion_of_their_rates() -> None:
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    of = torch.optim.SGD([{"params": [parameters[0]], "lr": 0.1}, {"params": [parameters[1]], "lr": 0.01}])
    schedule = headway.get_linear_schedule_with_warmup(of, 2, 10)
    for _ in range(5):
        of.step()
        schedule.step()
    assert of.param_groups[0]["lr"] == pytest.approx(10 * of.param_groups[1]["lr"]) == pytest.approx(0.1 * 5 / 8)


def test_a_decay_of_a_tenth_of_the_steps_where_none_is_named() -> None:
    of = optimizer(1.0)
    found = rates(headway.get_wsd_schedule(of, 5, num_training_steps=40), of, 41)
    assert found[5:37] == [1.0] * 32
    assert found[37] < 1.0
    assert found[40] == 0.0


@pytest.mark.parametrize(("warmup", "steps"), [(3, 3), (0.25, 5), (0, 0), (1, 1)])
def test_a_warmup_below_one_is_a_share(warmup: float, steps: int) -> None:
    of = optimizer(1.0)
    arguments = SimpleNamespace(lr_scheduler_type="linear", lr_scheduler_kwargs=None, warmup_steps=warmup)
    found = rates(make_schedule(of, arguments, 20), of, 20)
    assert found.index(max(found)) == steps
    assert math.isclose(found[-1], 1 / (20 - steps))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("liner", {}, "Did you mean 'linear'?"),
        ("cosine", {"num_cycle": 2}, "Did you mean 'num_cycles'?"),
        ("cosine_with_min_lr", {}, "min_lr and min_lr_rate"),
        ("polynomial", {"lr_end": 1.0}, "lower than"),
        ("warmup_stable_decay", {"decay_type": "sqrt"}, "'sqrt' is unknown"),
        ("warmup_stable_decay", {"num_decay_steps": 50}, "do not hold"),
    ],
)
def test_mistakes_are_told(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        headway.get_scheduler(name, optimizer(), 2, 10, options)
    assert words in one_sentence(caught.value)


def test_what_a_schedule_needs_is_told() -> None:
    with pytest.raises(InputError, match="needs num_training_steps"):
        headway.get_scheduler("linear", optimizer(), 2)
