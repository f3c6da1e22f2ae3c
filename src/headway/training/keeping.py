"""Saving a training as it stands, and going on from there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headway.errors import CheckpointError
from headway.models.pretrained import PreTrainedModel
from headway.training.checkpoint import (
    SHARES,
    STATE,
    read_rest,
    remove_old,
    restore_optimizer,
    restore_weights,
    saver,
    write_checkpoint,
)
from headway.training.order import Split
from headway.training.randomness import random_states, restore_random_states, set_seed
from headway.training.state import Losses, TrainerState

if TYPE_CHECKING:
    from headway.training.loop import Training

Parts = dict[str, Callable[[str], Any]]


def save(training: Training) -> None:
    """Write ``checkpoint-N``: of several processes the first one does, or each its share."""
    trainer, state, args, group = training.trainer, training.trainer.state, training.args, training.group
    folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
    if state.best_global_step == state.global_step:
        state.best_model_checkpoint = str(folder)
    if args.saves_shares:
        _write(training, folder, *_shares(training, folder))
    else:
        rest = None if args.save_only_model else _rest(training, group.whole_state(trainer.optimizer.state_dict()))
        with group.whole(training.model):
            _write(training, folder, {"model": saver(training.model)}, rest)
    group.wait()
    trainer.callbacks.call("on_save")


def _shares(training: Training, folder: Path) -> tuple[Parts, dict[str, Any] | None]:
    """Let every process write its share; returns what brings the files into a checkpoint, and what is not cut."""
    from headway.training.shared import write_training

    args, group, model = training.args, training.group, training.model
    draft = folder.with_name(f".{folder.name}.{SHARES}")
    if group.rank == 0:
        for left in folder.parent.glob(f".checkpoint-*.{SHARES}"):  # by a killed training
            shutil.rmtree(left, ignore_errors=True)
    group.wait()
    state = write_training(model, None if args.save_only_model else training.trainer.optimizer, draft, group)
    rest = None if args.save_only_model else _rest(training, state)

    def settle(inner: str) -> None:
        Path(inner).mkdir()
        if isinstance(model, PreTrainedModel):
            model.write_config(Path(inner))
        draft.rename(Path(inner) / SHARES)

    return {"model": settle}, rest


def _write(training: Training, folder: Path, parts: Parts, rest: dict[str, Any] | None) -> None:
    """What the first process does."""
    trainer, args = training.trainer, training.args
    if training.group.rank != 0:
        return
    if hasattr(trainer.processing_class, "save_pretrained"):
        parts["processing_class"] = trainer.processing_class.save_pretrained
    write_checkpoint(folder, parts, trainer.state, rest)
    if args.save_total_limit is not None:
        remove_old(folder.parent, args.save_total_limit, trainer.state.best_model_checkpoint)


def _rest(training: Training, optimizer: dict[str, Any]) -> dict[str, Any]:
    """What resuming needs besides weights and state, of all processes; ``optimizer`` is the state of that."""
    trainer = training.trainer
    return {
        "data": _data(training),
        "place": {"epoch": training.epoch, "steps": training.steps},
        "loss": asdict(training.losses),
        "optimizer": optimizer,
        "scheduler": trainer.lr_scheduler.state_dict(),
        "scaler": training.precision.state_dict(),
        "random": training.group.gather(random_states()),
        "callbacks": trainer.callbacks.state_dict(),
    }


def _data(training: Training) -> dict[str, Any]:
    """What the order of the data depends on."""
    args = training.args
    rows = Split(args.per_device_train_batch_size, args.gradient_accumulation_steps, training.group.world).rows
    seed = args.seed if args.data_seed is None else args.data_seed
    return {
        "rows of a step": rows,
        "steps of an epoch": training.steps_in_epoch,
        "data_seed": seed,
        "train_sampling_strategy": args.train_sampling_strategy,
        "group_by_length": args.group_by_length,
    }


def resume(training: Training, folder: Path) -> None:
    """Bring a training to where it was when ``save`` wrote ``folder``; raises ``CheckpointError``."""
    trainer, rest, group = training.trainer, read_rest(folder), training.group
    for name, value in _data(training).items():
        if rest["data"][name] != value:
            raise CheckpointError(
                f"{folder} was written with another order of the data: {name} was {rest['data'][name]} and is now "
                f"{value}; resume with the same data and arguments, or load the model from it to start a training."
            )
    restore(training, folder)
    state = rest["optimizer"]
    if (folder / SHARES).is_dir():
        from headway.training.shared import read_state

        state = read_state(trainer.optimizer, state, folder / SHARES)
    restore_optimizer(trainer.optimizer, state, group)
    trainer.lr_scheduler.load_state_dict(rest["scheduler"])
    training.precision.load_state_dict(rest["scaler"])
    trainer.callbacks.load_state_dict(rest["callbacks"])
    before, now = TrainerState.load_from_json(folder / STATE), trainer.state
    for name in ("epoch", "global_step", "log_history", "best_metric", "best_global_step"):
        setattr(now, name, getattr(before, name))
    if before.best_model_checkpoint is not None:  # the folder may have moved
        now.best_model_checkpoint = str(Path(str(training.args.output_dir)) / Path(before.best_model_checkpoint).name)
    training.epoch, training.steps = rest["place"]["epoch"], rest["place"]["steps"]
    training.losses = Losses(**rest["loss"])
    if group.rank < len(rest["random"]):
        restore_random_states(rest["random"][group.rank])
    else:
        set_seed(training.args.seed + group.rank + now.global_step)


def restore(training: Training, folder: Path) -> None:
    """Give the model the weights of a checkpoint; raises ``CheckpointError``."""
    if not (folder / SHARES).is_dir():
        restore_weights(training.model, folder, training.group)
        return
    from headway.training.shared import read_model

    training.group.share_weights(training.model)
    read_model(training.model, folder / SHARES)
