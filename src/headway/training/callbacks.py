"""Callbacks: what may happen at the events of a training, and those that are always there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headway.errors import InputError
from headway.training.arguments import TrainingArguments
from headway.training.state import TrainerControl, TrainerState

EVENTS = (
    *("on_init_end", "on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_step_begin"),
    *("on_substep_end", "on_pre_optimizer_step", "on_optimizer_step", "on_step_end", "on_evaluate", "on_predict"),
    *("on_save", "on_log", "on_prediction_step"),
)


class TrainerCallback:
    """What to do at the events of a training; subclass it and write those that you need.

    Every event gets the arguments, the state and the control, which it may change or return, and by keyword
    ``model``, ``processing_class``, ``optimizer``, ``lr_scheduler``, ``train_dataloader`` and ``eval_dataloader``;
    ``on_log`` gets ``logs`` too, ``on_evaluate`` and ``on_predict`` ``metrics``. A callback with something to
    remember has ``state_dict() -> dict`` and ``load_state_dict``: checkpoints hold it as JSON.
    """

    def on_init_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """The trainer is made."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> Any:
        """Training begins, or goes on."""

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """Training is over."""

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> Any:
        """A pass over the data begins."""

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """A pass over the data is over."""

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> Any:
        """A step begins."""

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> Any:
        """A pass of a step that has several is done."""

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> Any:
        """Gradients are complete and clipped."""

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> Any:
        """Weights are changed; gradients are still there."""

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """A step is done."""

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """An evaluation is done."""

    def on_predict(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """A prediction is done."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """A checkpoint is there."""

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """Something was logged."""

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> Any:
        """A batch of an evaluation is done."""


class Callbacks:
    """The callbacks of a trainer, called in order."""

    def __init__(self, callbacks: Sequence[TrainerCallback | type[TrainerCallback]], trainer: Any) -> None:
        self.trainer, self.all = trainer, [_made(callback) for callback in callbacks]

    def add(self, callback: TrainerCallback | type[TrainerCallback]) -> None:
        """One more, behind the others."""
        self.all.append(_made(callback))

    def pop(self, callback: TrainerCallback | type[TrainerCallback]) -> TrainerCallback | None:
        """Take out a callback, or the first one of a class, and return it; None where there is none."""
        for one in self.all:
            if one is callback or (isinstance(callback, type) and isinstance(one, callback)):
                self.all.remove(one)
                return one
        return None

    def call(self, event: str, **more: Any) -> TrainerControl:
        """Let all of them know of ``event``; returns the control."""
        trainer = self.trainer
        for callback in self.all:
            changed = getattr(callback, event)(
                trainer.args,
                trainer.state,
                trainer.control,
                model=trainer.model,
                processing_class=trainer.processing_class,
                optimizer=trainer.optimizer,
                lr_scheduler=trainer.lr_scheduler,
                **more,
            )
            if isinstance(changed, TrainerControl):
                trainer.control = changed
        control: TrainerControl = trainer.control
        return control

    def state_dict(self) -> dict[str, list[Any]]:
        """What callbacks remember, by class and then in order."""
        found: dict[str, list[Any]] = {}
        for callback in self.all:
            if hasattr(callback, "state_dict"):
                found.setdefault(type(callback).__name__, []).append(callback.state_dict())
        return found

    def load_state_dict(self, states: dict[str, list[Any]]) -> None:
        """Give back to callbacks what they remembered."""
        left = {name: list(values) for name, values in states.items()}
        for callback in self.all:
            if hasattr(callback, "load_state_dict") and left.get(type(callback).__name__):
                callback.load_state_dict(left[type(callback).__name__].pop(0))


def _made(callback: TrainerCallback | type[TrainerCallback]) -> TrainerCallback:
    made = callback() if isinstance(callback, type) else callback
    missing = [event for event in EVENTS if not callable(getattr(made, event, None))]
    if missing:
        raise InputError(f"{type(made).__name__} is no callback: it has no {missing[0]}; subclass TrainerCallback.")
    return made


class Flow(TrainerCallback):
    """Asks for logs, evaluations and checkpoints at the steps and epochs that the arguments name."""

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        step = state.global_step

        def due(strategy: str, every: int) -> bool:
            return strategy == "steps" and step % every == 0

        control.should_log |= due(args.logging_strategy, state.logging_steps) or (step == 1 and args.logging_first_step)
        control.should_evaluate |= due(args.eval_strategy, state.eval_steps) and step >= args.eval_delay
        control.should_save |= due(args.save_strategy, state.save_steps)
        if step >= state.max_steps:
            control.should_training_stop = True
            control.should_save |= args.save_strategy == "steps"

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        control.should_log |= args.logging_strategy == "epoch"
        control.should_evaluate |= args.eval_strategy == "epoch" and state.epoch >= args.eval_delay
        control.should_save |= args.save_strategy == "epoch"


class EarlyStoppingCallback(TrainerCallback):
    """Stops where the metric has not become better by more than a threshold for a number of evaluations.

    Args:
        early_stopping_patience: so many evaluations in a row.
        early_stopping_threshold: what counts as better.
    """

    def __init__(self, early_stopping_patience: int = 1, early_stopping_threshold: float = 0.0) -> None:
        self.early_stopping_patience, self.early_stopping_threshold = early_stopping_patience, early_stopping_threshold
        self.waited = 0
        self.best: float | None = None

    def state_dict(self) -> dict[str, Any]:
        """How long it has waited, and for what."""
        return {"waited": self.waited, "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on waiting."""
        self.waited, self.best = state["waited"], state["best"]

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if args.metric_for_best_model is None or args.eval_strategy == "no":
            raise InputError("EarlyStoppingCallback needs an eval_strategy and metric_for_best_model.")

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        value = metric_of(metrics or {}, str(args.metric_for_best_model))
        if value is None:
            return
        gain = 0.0 if self.best is None else (value - self.best) * (1 if args.greater_is_better else -1)
        if self.best is None or gain > self.early_stopping_threshold:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        control.should_training_stop |= self.waited >= self.early_stopping_patience


def metric_of(metrics: dict[str, float], name: str) -> float | None:
    """The value of the metric ``name``, with or without ``eval_``."""
    return metrics.get(name if name.startswith("eval_") else f"eval_{name}")
