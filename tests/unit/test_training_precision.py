"""Passes in half precision move weights in single precision, and the scaling of float16's losses is resumed exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fitting import rows_for, trainer_for
from headway.training import checks
from headway.training.callbacks import TrainerCallback
from headway.training.trainer import Trainer
from small import same_state, small_model

CHANGES = 4  # finite steps after which the scale is doubled


class Watch(TrainerCallback):
    """What scales and rates were, step by step; breaks off at one."""

    def __init__(self, stop: int | None = None) -> None:
        self.scales: list[float] = []
        self.rates: list[float] = []
        self.stop = stop
        self.trainer: Any = None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.scales.append(self.trainer.precision.scaler.get_scale())
        self.rates.append(self.trainer.lr_scheduler.get_last_lr()[0])
        if state.global_step == self.stop:
            raise KeyboardInterrupt


@pytest.fixture
def fp16_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let float16 be chosen on the CPU, where it is only slow."""
    monkeypatch.setattr(checks, "_check_precision", lambda given: None)


def scaled(folder: Path, stop: int | None = None, **options: Any) -> tuple[Trainer, Watch]:
    """A trainer whose first losses are scaled beyond what float16 holds."""
    watch = Watch(stop)
    saving = {"save_strategy": "steps", "save_steps": 1, "max_grad_norm": 0.5}
    trainer = trainer_for(folder, fp16=True, callbacks=[watch], **{**saving, **options})
    trainer.precision.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**22, growth_interval=CHANGES)
    watch.trainer = trainer
    return trainer, watch


def test_steps_that_run_over_are_left_out(fp16_here: None, tmp_path: Path) -> None:
    trainer, watch = scaled(tmp_path, save_strategy="no")
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.train()
    over = [scale < last for last, scale in zip([2.0**22, *watch.scales], watch.scales, strict=False)]
    assert over[0]
    assert 0 < sum(over) < len(over)
    assert any(scale > last for last, scale in zip(watch.scales, watch.scales[1:], strict=False))
    # The rate goes down from step to step, but for those.
    stays = [rate == last for last, rate in zip([5e-3, *watch.rates], watch.rates, strict=False)]
    assert stays == over
    assert all(parameter.dtype == torch.float32 for parameter in trainer.model.parameters())
    assert any(not torch.equal(before[name], value) for name, value in trainer.model.state_dict().items())


def test_the_scale_is_resumed(fp16_here: None, tmp_path: Path) -> None:
    """While it is too high still, and in the midst of the steps that it waits before it is doubled."""
    whole, watched = scaled(tmp_path / "whole")
    whole.train()
    for step in (1, 7, 10):
        broken, _ = scaled(tmp_path / str(step), stop=step + 1)
        with pytest.raises(KeyboardInterrupt):
            broken.train()
        state = json.loads((tmp_path / str(step) / f"checkpoint-{step}" / "training_state.json").read_text())
        assert "_growth_tracker" in json.dumps(state)
        again, watch = scaled(tmp_path / str(step))
        again.precision.scaler = torch.amp.GradScaler("cpu")  # what the arguments ask for
        again.train(resume_from_checkpoint=True)
        assert watch.scales == watched.scales[step:]
        assert watch.rates == watched.rates[step:]
        assert same_state(again.model, whole.model)


@pytest.mark.parametrize("half", ["bf16", "fp16"])
def test_passes_compute_in_half_precision_over_single(half: str, fp16_here: None, tmp_path: Path) -> None:
    types: list[tuple[torch.dtype, torch.dtype]] = []
    model = small_model("bert", "sequence-classification").to(torch.bfloat16)
    layer: nn.Module = model.backbone.layers[0].attn.o

    def watch(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        types.append((module.get_parameter("weight").dtype, output.dtype))

    layer.register_forward_hook(watch)
    trainer = trainer_for(tmp_path, model, train_dataset=rows_for(8), num_train_epochs=1, **{half: True})
    trainer.train()
    assert set(types) == {(torch.float32, {"bf16": torch.bfloat16, "fp16": torch.float16}[half])}
    moments = [value for entry in trainer.optimizer.state.values() for value in entry.values()]
    assert {value.dtype for value in moments} == {torch.float32}
