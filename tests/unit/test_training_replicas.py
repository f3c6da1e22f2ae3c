"""One step of eight rows is the same in one pass, in eight, and in two processes, for every head."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from test_loss_shares import CASES, ragged

from fitting import arguments, rows_for, trainer_for
from headway.training.checkpoint import checkpoints
from headway.training.trainer import Trainer
from processes import run_two
from small import small_model

Rows = list[dict[str, torch.Tensor]]


def stacked(rows: Rows) -> dict[str, torch.Tensor]:
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def step_of(folder: str, case: Any, size: int, passes: int) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss of a step over the eight rows of ``case``, and the weights after it, where all of it is gradient."""
    family, task, values = case
    model = small_model(family, task, **values)
    batch = ragged(model)
    rows = [{name: value[row] for name, value in batch.items()} for row in range(8)]
    smoothing = 0.0 if values.get("num_labels") == 1 or "problem_type" in values else 0.1
    model.train = lambda mode=True: model  # stays in evaluation mode: no dropout
    args = arguments(
        folder,
        per_device_train_batch_size=size,
        gradient_accumulation_steps=passes,
        max_steps=1,
        optim="sgd",
        learning_rate=0.1,
        lr_scheduler_type="constant",
        max_grad_norm=0.0,
        label_smoothing_factor=smoothing,
        logging_steps=1,
    )
    trainer = Trainer(model, args, train_dataset=rows, data_collator=stacked)
    trainer.train()
    return trainer.state.log_history[0]["loss"], model.state_dict()


def key(number: int, name: str) -> str:
    return f"{number} {name}"


def worker(folder: Path) -> None:
    """What each of the two processes does."""
    torch.set_num_threads(1)
    found = {}
    for number, case in enumerate(CASES):
        loss, weights = step_of(str(folder), case, 4, 1)
        found[key(number, "loss")] = torch.tensor(loss)
        found |= {key(number, name): value.clone() for name, value in weights.items()}
    rank = os.environ["RANK"]
    torch.save(found, folder / f"steps-{rank}.pt")
    trainer = ragged_trainer(folder / "run", size=2, save_strategy="steps", save_steps=3)
    trainer.train()
    metrics = trainer.evaluate()
    predictions = torch.from_numpy(trainer.predict(rows_for(7)).predictions)
    whole = {**trainer.model.state_dict(), "loss": torch.tensor(metrics["eval_loss"]), "predictions": predictions}
    torch.save({name: value.clone() for name, value in whole.items()}, folder / f"run-{rank}.pt")
    again = ragged_trainer(folder / "run", size=2)
    again.train(resume_from_checkpoint=folder / "run" / "checkpoint-3")
    torch.save({n: v.clone() for n, v in again.model.state_dict().items()}, folder / f"again-{rank}.pt")
    torch.distributed.destroy_process_group()


def ragged_trainer(folder: Path, size: int, **options: Any) -> Trainer:
    """Nine rows in steps of four, the last of which has one row: one process of two has none of it."""
    model = small_model("bert", "sequence-classification", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    rows = rows_for(9)
    return trainer_for(
        folder,
        model,
        train_dataset=rows,
        eval_dataset=rows,
        per_device_train_batch_size=size,
        **{"optim": "sgd", "learning_rate": 0.05, **options},
    )


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what two processes made."""
    folder = tmp_path_factory.mktemp("processes")
    run_two(__file__, folder)
    return folder


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: "-".join(CASES[number][:2]))
def test_a_step_is_the_same_however_it_is_split(number: int, processes: Path, tmp_path: Path) -> None:
    loss, weights = step_of(str(tmp_path), CASES[number], 8, 1)
    splits = [step_of(str(tmp_path), CASES[number], 1, 8), step_of(str(tmp_path), CASES[number], 3, 3)]
    for rank in range(2):
        found = torch.load(processes / f"steps-{rank}.pt")
        splits.append((float(found[key(number, "loss")]), {name: found[key(number, name)] for name in weights}))
    for other_loss, others in splits:
        assert other_loss == pytest.approx(loss, rel=1e-6)
        for name, value in weights.items():
            torch.testing.assert_close(others[name], value, rtol=1e-6, atol=1e-6, msg=name)


def test_a_process_without_rows_joins_in(processes: Path, tmp_path: Path) -> None:
    alone = ragged_trainer(tmp_path, size=4)
    alone.train()
    assert alone.state.global_step == 6
    expected = {**alone.model.state_dict(), "loss": torch.tensor(alone.evaluate()["eval_loss"])}
    expected["predictions"] = torch.from_numpy(alone.predict(rows_for(7)).predictions)
    for rank in range(2):
        found = torch.load(processes / f"run-{rank}.pt")
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6, msg=name)


def test_processes_resume_together(processes: Path) -> None:
    assert [path.name for path in checkpoints(processes / "run")] == ["checkpoint-3", "checkpoint-6"]
    for rank in range(2):
        whole, again = torch.load(processes / f"run-{rank}.pt"), torch.load(processes / f"again-{rank}.pt")
        assert all(torch.equal(whole[name], value) for name, value in again.items())
