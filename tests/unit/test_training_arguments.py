"""Arguments of training: what is wrong with them is said when they are made."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from headway import InputError
from headway.training.arguments import Seq2SeqTrainingArguments, TrainingArguments
from headway.training.checks import ALIASES, ELSEWHERE
from small import one_sentence

transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"learning_rat": 1}, "Did you mean 'learning_rate'?"),
        ({"push_to_hub": True}, "uploads nothing"),
        ({"eval_strategy": "step"}, "Did you mean 'steps'?"),
        ({"optim": "adamw_trch"}, "Did you mean 'adamw_torch'?"),
        ({"lr_scheduler_type": "linea"}, "Did you mean 'linear'?"),
        ({"report_to": "wandb"}, "callback of your own"),
        ({"per_device_train_batch_size": 0}, "at least 1"),
        ({"gradient_accumulation_steps": 1.5}, "a whole number"),
        ({"learning_rate": "5e-5"}, "must be a number"),
        ({"label_smoothing_factor": 1.0}, "below 1"),
        ({"max_steps": 0}, "-1 to count epochs"),
        ({"bf16": True, "fp16": True}, "contradict"),
        ({"fp16": True, "use_cpu": True}, "needs a CUDA device"),
        ({"load_best_model_at_end": True}, "eval_strategy"),
        ({"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 3, "save_steps": 7}, "multiple"),
        ({"save_strategy": "best"}, "needs an eval_strategy"),
        ({"warmup_steps": 3, "warmup_ratio": 0.1}, "either"),
        ({"dataloader_prefetch_factor": 2}, "dataloader_num_workers is 0"),
        ({"prediction_loss_only": True, "batch_eval_metrics": True}, "no meaning"),
    ],
)
def test_what_is_wrong_is_said_at_once(values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match="") as error:
        TrainingArguments("somewhere", **values)
    assert said in one_sentence(error.value)


def test_what_asks_for_nothing_may_be_there() -> None:
    TrainingArguments("somewhere", push_to_hub=False, deepspeed=None, fsdp="")


def test_defaults_are_the_fields() -> None:
    theirs = transformers.Seq2SeqTrainingArguments
    known = {one.name: one.default for one in fields(theirs)}
    for one in fields(Seq2SeqTrainingArguments):
        if one.name in known and one.name not in ("output_dir", "gradient_checkpointing", "include_for_metrics"):
            assert one.default == known[one.name], one.name


def test_every_argument_of_the_field_is_known_or_said_not_to_be() -> None:
    ours = {one.name for one in fields(Seq2SeqTrainingArguments)}
    assert not ours & set(ELSEWHERE)
    unknown = {one.name for one in fields(transformers.Seq2SeqTrainingArguments)} - ours - set(ELSEWHERE) - set(ALIASES)
    assert sorted(unknown) == []


def test_what_follows() -> None:
    given = TrainingArguments("x", evaluation_strategy="steps", warmup_ratio=0.1, metric_for_best_model="f1")
    assert (given.eval_strategy, given.eval_steps, given.warmup_steps) == ("steps", 500, 0.1)
    assert given.greater_is_better
    assert given.report_to == []
    assert json.loads(given.to_json_string())["output_dir"] == "x"
    assert not TrainingArguments(
        "x", save_strategy="epoch", eval_strategy="epoch", load_best_model_at_end=True
    ).greater_is_better
