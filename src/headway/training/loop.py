"""One training: epochs of steps, steps of passes, and what is due in between."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from headway.errors import CheckpointError, HeadwayError, InputError
from headway.training.callbacks import metric_of
from headway.training.checkpoint import (
    read_rest,
    remove_old,
    restore_optimizer,
    restore_weights,
    saver,
    write_checkpoint,
)
from headway.training.guard import origin
from headway.training.leaving import CODE, Leaving
from headway.training.order import Split
from headway.training.parameters import trained
from headway.training.precision import clip
from headway.training.randomness import random_states, restore_random_states, set_seed
from headway.training.shares import no_share, shares
from headway.training.state import TrainerState, TrainOutput

if TYPE_CHECKING:
    from headway.training.trainer import Trainer

# Stands for "until max_steps" where a data set does not know its length.
_ENDLESS = 2**31


class NonFiniteError(HeadwayError, ArithmeticError):
    """A loss or a gradient is not a finite number."""


class Training:
    """A run of ``Trainer.train``.

    Attributes:
        epoch: the epoch at hand, of which ``steps`` are done.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.args, self.group = trainer, trainer.args, trainer.args.replicas
        self.model, self.precision = trainer.model, trainer.precision
        self.batches = trainer.get_train_dataloader()
        self.passes = self._passes()
        self.epoch = self.steps = 0
        self.sum, self.summed, self.whole_sum = 0.0, 0, 0.0
        self.last: dict[str, float] = {}
        self.leaving = Leaving()
        self.began = time.perf_counter()

    # --- how long it is ----------------------------------------------------------------------------------------------

    def _passes(self) -> int | None:
        """Passes of one process in an epoch, where that is known."""
        with suppress(TypeError):
            passes = len(self.batches)
            if passes == 0:
                raise InputError(
                    "The training data set holds no batch; with dataloader_drop_last=True it may be small."
                )
            return passes
        if self.args.max_steps <= 0:
            raise InputError("The training data set does not know its length; say max_steps.")
        return None

    @property
    def steps_in_epoch(self) -> int | None:
        """Steps of an epoch, where that is known."""
        return None if self.passes is None else math.ceil(self.passes / self.args.gradient_accumulation_steps)

    def _length(self) -> tuple[int, int]:
        """Epochs, begun ones too, and steps of the training."""
        args, each = self.args, self.steps_in_epoch
        if args.max_steps > 0:
            return (_ENDLESS if each is None else math.ceil(args.max_steps / each)), args.max_steps
        assert each is not None
        return math.ceil(args.num_train_epochs), math.ceil(args.num_train_epochs * each)

    def _new_state(self, epochs: int, steps: int) -> TrainerState:
        def every(value: float | None) -> int:
            return 0 if value is None else int(value) if value >= 1 else math.ceil(value * steps)

        args = self.args
        return TrainerState(
            max_steps=steps,
            num_train_epochs=epochs,
            train_batch_size=args.train_batch_size,
            logging_steps=every(args.logging_steps),
            eval_steps=every(args.eval_steps),
            save_steps=every(args.save_steps),
            is_local_process_zero=self.group.local_rank == 0,
            is_world_process_zero=self.group.rank == 0,
        )

    # --- running -----------------------------------------------------------------------------------------------------

    def run(self, checkpoint: Path | None) -> TrainOutput:
        """Train, from ``checkpoint`` on where one is given."""
        trainer = self.trainer
        epochs, steps = self._length()
        trainer.state = self._new_state(epochs, steps)
        trainer.create_optimizer_and_scheduler(steps)
        self.parameters = list(trained(self.model).values())
        if checkpoint is not None:
            self._resume(checkpoint)
        started = trainer.state.global_step
        trainer.callbacks.call("on_train_begin", train_dataloader=self.batches)
        with self.leaving:
            if self.args.eval_on_start and not started:
                trainer.evaluate()
            while self.epoch < epochs and not trainer.control.should_training_stop:
                if trainer.state.global_step >= steps and self.steps == 0:
                    break
                self._epoch()
        return self._end(trainer.state.global_step - started)

    def _epoch(self) -> None:
        trainer, number = self.trainer, self.epoch
        trainer.control.should_epoch_stop = False
        if not self.steps:
            trainer.callbacks.call("on_epoch_begin", train_dataloader=self.batches)
        batches = self._from_here()
        while not self._epoch_is_over() and (passes := list(islice(batches, self.args.gradient_accumulation_steps))):
            self._step(passes)
            self._do_what_is_due()
            self._leave_if_asked()
        self.epoch, self.steps = number + 1, 0
        trainer.callbacks.call("on_epoch_end", train_dataloader=self.batches)
        self._do_what_is_due()
        self._leave_if_asked()

    def _from_here(self) -> Iterator[Any]:
        """The batches of the epoch that are still to come."""
        if hasattr(self.batches, "go_to"):
            self.batches.go_to(self.epoch, self.steps)
            return iter(self.batches)
        sampler: Any = getattr(self.batches, "sampler", None)
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(self.epoch)
        return islice(iter(self.batches), self.steps * self.args.gradient_accumulation_steps, None)

    def _epoch_is_over(self) -> bool:
        control, state = self.trainer.control, self.trainer.state
        stopped = control.should_epoch_stop or control.should_training_stop
        return stopped or state.global_step >= state.max_steps or self.steps == self.steps_in_epoch

    # --- a step ------------------------------------------------------------------------------------------------------

    def _step(self, passes: list[Mapping[str, Any] | None]) -> None:
        trainer, callbacks = self.trainer, self.trainer.callbacks
        batches = [batch for batch in passes if batch is not None]
        parts = shares(self.model, batches, trainer.target_names, self.group)
        for batch in self.group.company(passes):
            batches.append(batch)
            parts.append(no_share(self.model, batch, trainer.target_names))
        callbacks.call("on_step_begin")
        self.model.train()
        loss = torch.zeros((), device=self.group.device)
        for number, (batch, share) in enumerate(zip(batches, parts, strict=True), 1):
            loss += trainer.training_step(self.model, batch, share)
            if number < len(batches):
                callbacks.call("on_substep_end")
        self.group.sum_gradients(self.parameters)
        self.precision.unscale(trainer.optimizer)
        norm = clip(self.parameters, self.args.max_grad_norm, self.group)
        value, size = self._look_at(loss, norm, batches)
        stepped = False
        self.last = {"grad_norm": size, "learning_rate": float(trainer.optimizer.param_groups[0]["lr"])}
        if value is not None:
            callbacks.call("on_pre_optimizer_step")
            stepped = self.precision.step(trainer.optimizer)
            callbacks.call("on_optimizer_step")
            self.sum, self.summed, self.whole_sum = self.sum + value, self.summed + 1, self.whole_sum + value
        if stepped and not isinstance(trainer.lr_scheduler, ReduceLROnPlateau):
            trainer.lr_scheduler.step()
        trainer.optimizer.zero_grad()
        self.steps += 1
        trainer.state.global_step += 1
        whole = self.steps_in_epoch
        done = trainer.state.global_step / trainer.state.max_steps if whole is None else self.steps / whole
        trainer.state.epoch = done if whole is None else self.epoch + done
        callbacks.call("on_step_end")

    def _look_at(
        self, loss: torch.Tensor, norm: torch.Tensor, batches: list[Mapping[str, Any]]
    ) -> tuple[float | None, float]:
        """The step's loss, None where the step is to be left out, and the norm of its gradients.

        The one time that a step waits for the device.
        """
        facts = self.group.sum(torch.stack([loss.float(), loss.new_tensor(float(self.leaving.asked))]))
        value, asked, size = torch.cat([facts, norm.to(facts).reshape(1)]).tolist()
        self.leaving.asked = asked > 0
        fine = math.isfinite(value) and (math.isfinite(size) or self.precision.scaler is not None)
        if fine or self.args.nan_guard == "off":
            return value, size
        if self.args.nan_guard == "skip":
            return None, size
        where = origin(self.model, [self.trainer.prepared(batch) for batch in batches])
        raise NonFiniteError(
            f"Step {self.trainer.state.global_step + 1}: the loss is {value} and the norm of the gradients {size}; "
            f"{where}. A smaller learning_rate or max_grad_norm may help; nan_guard='skip' leaves such steps out."
        )

    # --- what is due -------------------------------------------------------------------------------------------------

    def _do_what_is_due(self) -> None:
        control = self.trainer.control
        if control.should_log:
            self._log()
        if control.should_evaluate:
            self._evaluate()
        if control.should_save:
            self.save()
        control.should_log = control.should_evaluate = control.should_save = False

    def _log(self) -> None:
        if self.summed:
            logs = {"loss": self.sum / self.summed, **self.last}
            self.sum, self.summed = 0.0, 0
            self.trainer.log(logs)

    def _evaluate(self) -> None:
        trainer, state = self.trainer, self.trainer.state
        metrics = trainer.evaluate()
        if isinstance(trainer.lr_scheduler, ReduceLROnPlateau):
            watched = metric_of(metrics, self.args.metric_for_best_model or "loss")
            trainer.lr_scheduler.step(math.nan if watched is None else watched)
        name = self.args.metric_for_best_model
        if name is None:
            return
        value = metric_of(metrics, name)
        if value is None:
            known = ", ".join(key.removeprefix("eval_") for key in metrics)
            raise InputError(f"metric_for_best_model={name!r} is none of the metrics of the evaluation: {known}.")
        sign = 1 if self.args.greater_is_better else -1
        if state.best_metric is None or sign * value > sign * state.best_metric:
            state.best_metric, state.best_global_step = value, state.global_step
            trainer.control.should_save |= self.args.load_best_model_at_end or self.args.save_strategy == "best"

    def _leave_if_asked(self) -> None:
        """Save and end the process where it was asked to go."""
        if self.leaving.asked and not self.trainer.control.should_training_stop:
            self.save()
            raise SystemExit(CODE)

    def _end(self, steps: int) -> TrainOutput:
        trainer, state, args = self.trainer, self.trainer.state, self.args
        seconds = time.perf_counter() - self.began
        rows = steps * args.per_device_train_batch_size * args.gradient_accumulation_steps * self.group.world
        mean = self.whole_sum / max(1, state.global_step)
        metrics = {
            "train_runtime": seconds,
            "train_samples_per_second": rows / seconds,
            "train_steps_per_second": steps / seconds,
            "train_loss": mean,
        }
        if args.load_best_model_at_end and state.best_model_checkpoint is not None:
            restore_weights(self.model, Path(state.best_model_checkpoint), self.group)
        trainer.log(metrics)
        trainer.callbacks.call("on_train_end")
        return TrainOutput(state.global_step, mean, {**metrics, "epoch": state.epoch})

    # --- checkpoints -------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write ``checkpoint-N``; of several processes, the first one does."""
        trainer, state, args = self.trainer, self.trainer.state, self.args
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        if state.best_global_step == state.global_step:
            state.best_model_checkpoint = str(folder)
        rest = None if args.save_only_model else self._rest()
        with self.group.whole(self.model):
            if self.group.rank == 0:
                parts = {"model": saver(self.model)}
                if hasattr(trainer.processing_class, "save_pretrained"):
                    parts["processing_class"] = trainer.processing_class.save_pretrained
                write_checkpoint(folder, parts, state, rest)
                if args.save_total_limit is not None:
                    remove_old(folder.parent, args.save_total_limit, state.best_model_checkpoint)
        self.group.wait()
        trainer.callbacks.call("on_save")

    def _rest(self) -> dict[str, Any]:
        """What resuming needs besides weights and state, of all processes."""
        trainer = self.trainer
        return {
            "data": self._data(),
            "place": {"epoch": self.epoch, "steps": self.steps},
            "loss": {"sum": self.sum, "summed": self.summed, "whole_sum": self.whole_sum, "last": self.last},
            "optimizer": self.group.whole_state(trainer.optimizer.state_dict()),
            "scheduler": trainer.lr_scheduler.state_dict(),
            "scaler": self.precision.state_dict(),
            "random": self.group.gather(random_states()),
            "callbacks": trainer.callbacks.state_dict(),
        }

    def _data(self) -> dict[str, Any]:
        """What the order of the data depends on."""
        args = self.args
        rows = Split(args.per_device_train_batch_size, args.gradient_accumulation_steps, self.group.world).rows
        seed = args.seed if args.data_seed is None else args.data_seed
        return {
            "rows of a step": rows,
            "steps of an epoch": self.steps_in_epoch,
            "data_seed": seed,
            "train_sampling_strategy": args.train_sampling_strategy,
            "group_by_length": args.group_by_length,
        }

    def _resume(self, folder: Path) -> None:
        trainer, rest = self.trainer, read_rest(folder)
        for name, value in self._data().items():
            if rest["data"][name] != value:
                raise CheckpointError(
                    f"{folder} was written with another order of the data: {name} was {rest['data'][name]} and is now "
                    f"{value}; resume with the same data and arguments, or load the model from it to start a training."
                )
        restore_weights(self.model, folder, self.group)
        restore_optimizer(trainer.optimizer, rest["optimizer"], self.group)
        trainer.lr_scheduler.load_state_dict(rest["scheduler"])
        self.precision.load_state_dict(rest["scaler"])
        trainer.callbacks.load_state_dict(rest["callbacks"])
        before, now = TrainerState.load_from_json(folder / "trainer_state.json"), trainer.state
        for name in ("epoch", "global_step", "log_history", "best_metric", "best_global_step"):
            setattr(now, name, getattr(before, name))
        if before.best_model_checkpoint is not None:  # the folder may have moved
            now.best_model_checkpoint = str(Path(str(self.args.output_dir)) / Path(before.best_model_checkpoint).name)
        self.epoch, self.steps = rest["place"]["epoch"], rest["place"]["steps"]
        loss = rest["loss"]
        self.sum, self.summed, self.whole_sum, self.last = loss["sum"], loss["summed"], loss["whole_sum"], loss["last"]
        if self.group.rank < len(rest["random"]):
            restore_random_states(rest["random"][self.group.rank])
        else:
            set_seed(self.args.seed + self.group.rank + now.global_step)
