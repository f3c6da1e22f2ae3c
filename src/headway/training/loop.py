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

from headway.errors import InputError
from headway.training import keeping
from headway.training.callbacks import metric_of
from headway.training.guard import non_finite
from headway.training.leaving import CODE, Leaving
from headway.training.parameters import trained
from headway.training.precision import clip
from headway.training.shares import no_share, shares
from headway.training.state import Losses, TrainOutput, new_state

if TYPE_CHECKING:
    from headway.training.trainer import Trainer

# Stands for "until max_steps" where a data set does not know its length.
_ENDLESS = 2**31


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
        self.losses = Losses()
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

    # --- running -----------------------------------------------------------------------------------------------------

    def run(self, checkpoint: Path | None) -> TrainOutput:
        """Train, from ``checkpoint`` on where one is given."""
        trainer = self.trainer
        epochs, steps = self._length()
        trainer.state = new_state(self.args, epochs, steps)
        trainer.create_optimizer_and_scheduler(steps)
        self.parameters = list(trained(self.model).values())
        if checkpoint is not None:
            keeping.resume(self, checkpoint)
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
        rate = float(trainer.optimizer.param_groups[0]["lr"])
        self.losses.add(value, size, rate)
        if value is not None:
            callbacks.call("on_pre_optimizer_step")
            stepped = self.precision.step(trainer.optimizer)
            callbacks.call("on_optimizer_step")
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
        prepared = [self.trainer.prepared(batch) for batch in batches]
        raise non_finite(self.model, prepared, value, size, self.trainer.state.global_step)

    # --- what is due -------------------------------------------------------------------------------------------------

    def _do_what_is_due(self) -> None:
        control = self.trainer.control
        if control.should_log:
            self._log()
        if control.should_evaluate:
            self._evaluate()
        if control.should_save:
            keeping.save(self)
        control.should_log = control.should_evaluate = control.should_save = False

    def _log(self) -> None:
        if self.losses.summed:
            self.trainer.log(self.losses.taken())

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
            keeping.save(self)
            raise SystemExit(CODE)

    def _end(self, steps: int) -> TrainOutput:
        trainer, state, args = self.trainer, self.trainer.state, self.args
        seconds = time.perf_counter() - self.began
        rows = steps * args.per_device_train_batch_size * args.gradient_accumulation_steps * self.group.world
        mean = self.losses.whole_sum / max(1, state.global_step)
        metrics = {
            "train_runtime": seconds,
            "train_samples_per_second": rows / seconds,
            "train_steps_per_second": steps / seconds,
            "train_loss": mean,
        }
        if args.load_best_model_at_end and state.best_model_checkpoint is not None:
            keeping.restore(self, Path(state.best_model_checkpoint))
        trainer.log(metrics)
        trainer.callbacks.call("on_train_end")
        return TrainOutput(state.global_step, mean, {**metrics, "epoch": state.epoch})
