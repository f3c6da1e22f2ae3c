"""A training that is stopped and resumed, at any step, ends as the unbroken one does, bit for bit."""

from __future__ import annotations

import copy
import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import IterableDataset

from fitting import pad, rows_for, trainer_for
from headway import AutoModelForSequenceClassification, CheckpointError, LoraConfig
from headway.training.callbacks import EarlyStoppingCallback, TrainerCallback
from headway.training.checkpoint import checkpoints, damage, newest
from small import same_state, small_checkpoint, small_model

TIMES = ("runtime", "per_second")


def history(state: Any) -> list[dict[str, Any]]:
    """The log without what clocks tell."""
    return [{k: v for k, v in entry.items() if not k.endswith(TIMES)} for entry in state.log_history]


class StopAt(TrainerCallback):
    """Breaks off at a step, as an error would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


def interrupted(folder: Path, step: int, **options: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        trainer_for(folder, **options, callbacks=[StopAt(step)]).train()


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulated": {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 2},
    "grouped": {"group_by_length": True, "lr_scheduler_type": "cosine", "warmup_steps": 3},
    "workers": {"dataloader_num_workers": 1},
    "bf16": {"bf16": True, "gradient_checkpointing": True},
    "other optimizer": {"optim": "adafactor", "max_grad_norm": 0.0},
    "muon": {"optim": "muon", "label_smoothing_factor": 0.1},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_resuming_is_exact(name: str, tmp_path: Path) -> None:
    """Twelve steps, saved after each; begun again behind any of them, in the middle of an epoch or at its end."""
    options = {**SETTINGS[name], "eval_strategy": "epoch", "eval_dataset": rows_for(6)}
    whole = trainer_for(tmp_path / "whole", **options)
    whole.train()
    assert whole.state.global_step == 12
    for step in (1, 5, 6, 7, 11) if name == "plain" else (4,):
        folder = tmp_path / str(step)
        interrupted(folder, step + 1, save_strategy="steps", save_steps=step, **options)
        assert [path.name for path in checkpoints(folder)][-1] == f"checkpoint-{step}"
        torch.manual_seed(99)
        again = trainer_for(folder, **options)
        again.train(resume_from_checkpoint=True)
        assert same_state(whole.model, again.model)
        assert history(whole.state) == history(again.state)
        one, other = whole.optimizer.state_dict(), again.optimizer.state_dict()
        assert repr(one) == repr(other)
        assert whole.lr_scheduler.state_dict() == again.lr_scheduler.state_dict()


class Drawing:
    """Rows that are another each time they are read."""

    def __len__(self) -> int:
        return 16

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"input_ids": torch.randint(5, 50, (4,)).tolist(), "labels": random.randrange(2)}


def test_what_rows_draw_is_resumed_too(tmp_path: Path) -> None:
    whole = trainer_for(tmp_path / "whole", train_dataset=Drawing())
    whole.train()
    interrupted(tmp_path, 4, train_dataset=Drawing(), save_strategy="steps", save_steps=3)
    again = trainer_for(tmp_path, train_dataset=Drawing(), dataloader_num_workers=1)
    again.train(resume_from_checkpoint=True)
    assert same_state(whole.model, again.model)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(rows_for(30))


def test_rows_that_come_one_by_one(tmp_path: Path) -> None:
    options = {"train_dataset": Stream(), "max_steps": 10}
    whole = trainer_for(tmp_path / "whole", **options)
    whole.train()
    interrupted(tmp_path, 10, save_strategy="steps", save_steps=3, **options)
    again = trainer_for(tmp_path, **options)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-9"))
    assert same_state(whole.model, again.model)


def test_early_stopping_goes_on_waiting(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "eval_dataset": rows_for(6),
        "eval_strategy": "steps",
        "eval_steps": 1,
        "metric_for_best_model": "loss",
        "learning_rate": 0.0,
        "save_strategy": "steps",
        "save_steps": 1,
    }
    stopping = EarlyStoppingCallback(4)
    trainer = trainer_for(tmp_path, callbacks=[stopping], **options)
    trainer.train()
    assert trainer.state.global_step == 5
    again = trainer_for(tmp_path, callbacks=[EarlyStoppingCallback(4)], **options)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert again.state.global_step == 5


# --- checkpoints ---------------------------------------------------------------------------------------------------


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trainer_for(tmp_path, save_strategy="steps", save_steps=4).train()
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-4", "checkpoint-8", "checkpoint-12"]
    weights = tmp_path / "checkpoint-12" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    (tmp_path / "checkpoint-8" / "training_state.safetensors").unlink()
    (tmp_path / "checkpoint-99").mkdir()
    with caplog.at_level(logging.WARNING):
        assert newest(tmp_path) == tmp_path / "checkpoint-4"
    assert [record.getMessage().split(" is passed over: ")[1] for record in caplog.records] == [
        "manifest.json is missing or damaged.",
        "model.safetensors is damaged.",
        "training_state.safetensors is missing.",
    ]
    with pytest.raises(CheckpointError, match=r"cannot be resumed from: model\.safetensors is damaged"):
        trainer_for(tmp_path).train(resume_from_checkpoint=tmp_path / "checkpoint-12")


def test_where_to_resume_from(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        trainer_for(tmp_path).train(resume_from_checkpoint=True)
    assert trainer_for(tmp_path, save_strategy="epoch").train(resume_from_checkpoint="auto").global_step == 12
    assert damage(tmp_path / "checkpoint-12") is None
    with pytest.raises(CheckpointError, match="rows of a step was 4 and is now 8"):
        trainer_for(tmp_path, gradient_accumulation_steps=2).train(resume_from_checkpoint=True)


def test_a_checkpoint_holds_no_pickle_and_loads_as_a_model(tmp_path: Path) -> None:
    trainer = trainer_for(tmp_path, save_strategy="epoch")
    trainer.train()
    folder = tmp_path / "checkpoint-12"
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors"}
    assert json.loads((folder / "trainer_state.json").read_text())["global_step"] == 12
    loaded = type(trainer.model).from_pretrained(folder)
    assert same_state(trainer.model, loaded)


def test_limit_and_best(tmp_path: Path) -> None:
    scores = iter([0.1, 0.9, 0.2, 0.3])
    options: dict[str, Any] = {
        "eval_strategy": "steps",
        "save_strategy": "steps",
        "eval_steps": 3,
        "save_steps": 3,
        "load_best_model_at_end": True,
        "metric_for_best_model": "score",
        "save_total_limit": 2,
        "eval_dataset": rows_for(4),
        "compute_metrics": lambda given: {"score": next(scores)},
    }
    trainer = trainer_for(tmp_path, **options)
    trainer.train()
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-6", "checkpoint-12"]
    assert (trainer.state.best_metric, trainer.state.best_global_step) == (0.9, 6)
    assert same_state(trainer.model, type(trainer.model).from_pretrained(tmp_path / "checkpoint-6"))


# --- being killed --------------------------------------------------------------------------------------------------

SCRIPT = """
import os, sys, time
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from fitting import trainer_for
from headway.training.callbacks import TrainerCallback

class Said(TrainerCallback):
    def on_train_begin(self, args, state, control, **kwargs):
        print("begun", flush=True)
    def on_step_end(self, args, state, control, **kwargs):
        time.sleep({pause})

trainer = trainer_for({folder!r}, save_strategy="steps", save_steps=1, save_total_limit=2, num_train_epochs={epochs},
                      callbacks=[Said], disable_tqdm=None)
trainer.train(resume_from_checkpoint="auto")
trainer.model.save_pretrained({folder!r} + "/final")
"""


def started(folder: Path, epochs: int, pause: float = 0.0) -> subprocess.Popen[str]:
    tests = str(Path(__file__).parents[1])
    script = SCRIPT.format(tests=tests, folder=str(folder), epochs=epochs, pause=pause)
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def survives(folder: Path, times: int, epochs: int) -> None:
    """Kill a training at random moments, let it go on each time, and compare with one that nothing happened to."""
    whole = trainer_for(folder / "whole", num_train_epochs=epochs)
    whole.train()
    drawn = random.Random(times)
    for _ in range(times):
        process = started(folder / "killed", epochs)
        time.sleep(drawn.uniform(0, 0.6))
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path in checkpoints(folder / "killed"):
            assert damage(path) is None
    last = started(folder / "killed", epochs)
    assert last.wait() == 0
    assert same_state(whole.model, type(whole.model).from_pretrained(folder / "killed" / "final"))


def test_a_killed_training_goes_on(tmp_path: Path) -> None:
    survives(tmp_path, times=1, epochs=3)


@pytest.mark.long
def test_a_training_that_is_killed_again_and_again(tmp_path: Path) -> None:
    survives(tmp_path, times=40, epochs=60)


def test_sigterm_saves_before_it_leaves(tmp_path: Path) -> None:
    process = started(tmp_path, epochs=500, pause=0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert newest(tmp_path) is not None


def test_sigterm_in_this_process(tmp_path: Path) -> None:
    """The step at hand is finished, and the training goes on from there exactly."""

    class Asked(TrainerCallback):
        def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    options = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}
    whole = trainer_for(tmp_path / "whole", **options)
    whole.train()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as left:
        trainer_for(tmp_path, callbacks=[Asked], **options).train()
    assert left.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-3"]
    again = trainer_for(tmp_path, **options)
    again.train(resume_from_checkpoint=True)
    assert same_state(whole.model, again.model)


def test_a_plain_module_is_resumed_too(tmp_path: Path) -> None:
    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.table, self.out = torch.nn.Embedding(60, 8), torch.nn.Linear(8, 2)

        def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> Any:
            logits = torch.nn.functional.dropout(self.out(self.table(input_ids).mean(1)), 0.5, self.training)
            return torch.nn.functional.cross_entropy(logits, labels), logits

    options = {"data_collator": lambda rows: {k: v for k, v in pad(rows).items() if k != "attention_mask"}}
    whole = trainer_for(tmp_path / "whole", Plain(), **options)
    whole.train()
    with pytest.raises(KeyboardInterrupt):
        trainer_for(tmp_path, Plain(), **options, callbacks=[StopAt(5)], save_strategy="steps", save_steps=4).train()
    again = trainer_for(tmp_path, Plain(), **options)
    again.train(resume_from_checkpoint=True)
    assert same_state(whole.model, again.model)


def test_a_model_of_another_shape_is_refused(tmp_path: Path) -> None:
    trainer_for(tmp_path, save_strategy="epoch").train()
    other = small_model("bert", "sequence-classification", num_labels=5)
    with pytest.raises(CheckpointError, match="is it of another model"):
        trainer_for(tmp_path, other).train(resume_from_checkpoint=True)


def base(folder: Path, quantize: str | None) -> Any:
    """A small model as it is loaded, to put adapters on."""
    small_checkpoint(folder, "bert", "sequence-classification")
    return AutoModelForSequenceClassification.from_pretrained(folder, quantize=quantize)


def one_adapter(model: Any) -> None:
    model.add_adapter(LoraConfig(r=2, target_modules="all-linear"))


def two_adapters(model: Any) -> None:
    """Both are in use and learn; a third one waits."""
    for name in ("waiting", "first", "second"):
        model.add_adapter(LoraConfig(r=2, modules_to_save=["classifier"] if name == "second" else None), name)
    model.set_adapter(["first", "second"])


@pytest.mark.parametrize("adapt", [one_adapter, two_adapters])
@pytest.mark.parametrize("quantize", [None, "int8"])
def test_adapters_are_resumed_as_exactly(adapt: Any, quantize: str | None, tmp_path: Path) -> None:
    start = base(tmp_path / "base", quantize)
    torch.manual_seed(0)
    adapt(start)
    before = copy.deepcopy(start).state_dict()
    learnt = {name for name, parameter in start.named_parameters() if parameter.requires_grad}
    whole = trainer_for(tmp_path / "whole", model=copy.deepcopy(start))
    whole.train()
    folder = tmp_path / "again"
    saving = {"save_strategy": "steps", "save_steps": 4}
    broken = trainer_for(folder, model=copy.deepcopy(start), callbacks=[StopAt(5)], **saving)
    with pytest.raises(KeyboardInterrupt):
        broken.train()
    files = {path.name for path in (folder / "checkpoint-4").rglob("*.safetensors")}
    assert files == {"adapter_model.safetensors", "training_state.safetensors"}
    torch.manual_seed(1)
    resumed = trainer_for(folder, model=copy.deepcopy(start))
    resumed.train(resume_from_checkpoint=True)
    assert same_state(resumed.model, whole.model)
    after = resumed.model.state_dict()
    assert {name for name, value in before.items() if not torch.equal(value, after[name])} == learnt


@pytest.mark.parametrize("adapt", [one_adapter, two_adapters])
def test_what_was_learnt_beside_a_model_can_be_loaded(adapt: Any, tmp_path: Path) -> None:
    model = base(tmp_path / "base", None)
    adapt(model)
    trainer = trainer_for(tmp_path / "run", model=model)
    trainer.train()
    trainer.save_model(tmp_path / "saved")
    found = base(tmp_path / "base", None)
    names = model.active_adapters()
    for name in names:
        found.load_adapter(tmp_path / "saved" / (name if len(names) > 1 else "."), name)
    found.set_adapter(names)
    batch = pad(rows_for(4))
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(found(**batch).logits, model(**batch).logits)
