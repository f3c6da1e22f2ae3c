"""Where a training stands, what is to be done next, and what training and evaluation return."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from headway.errors import CheckpointError
from headway.io.atomic import write_file

if TYPE_CHECKING:
    from headway.training.arguments import TrainingArguments


@dataclass
class TrainerState:
    """Where a training stands; ``trainer_state.json`` of a checkpoint.

    Attributes:
        epoch: passes over the data so far, with the part of the current one.
        global_step: steps so far, of ``max_steps``.
        logging_steps, eval_steps, save_steps: in steps, also where the arguments say shares.
        log_history: what was logged, each with its ``step`` and ``epoch``.
        best_metric, best_global_step, best_model_checkpoint: of the best evaluation so far.
    """

    epoch: float = 0.0
    global_step: int = 0
    max_steps: int = 0
    logging_steps: int = 500
    eval_steps: int = 500
    save_steps: int = 500
    train_batch_size: int | None = None
    num_train_epochs: int = 0
    log_history: list[dict[str, float]] = field(default_factory=list)
    best_metric: float | None = None
    best_global_step: int | None = None
    best_model_checkpoint: str | None = None
    is_local_process_zero: bool = True
    is_world_process_zero: bool = True

    def save_to_json(self, path: str | Path) -> None:
        """Write the state."""
        write_file(Path(path), (json.dumps(asdict(self), indent=2, sort_keys=True) + "\n").encode())

    @classmethod
    def load_from_json(cls, path: str | Path) -> TrainerState:
        """Read a state; fields of other writers are left out. Raises ``CheckpointError``."""
        try:
            values = json.loads(Path(path).read_text())
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} cannot be read as the state of a training: {error}.") from error
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


def new_state(args: TrainingArguments, epochs: int, steps: int) -> TrainerState:
    """The state at the beginning of a training of so many epochs and steps."""

    def every(value: float | None) -> int:
        return 0 if value is None else int(value) if value >= 1 else math.ceil(value * steps)

    return TrainerState(
        max_steps=steps,
        num_train_epochs=epochs,
        train_batch_size=args.train_batch_size,
        logging_steps=every(args.logging_steps),
        eval_steps=every(args.eval_steps),
        save_steps=every(args.save_steps),
        is_local_process_zero=args.replicas.local_rank == 0,
        is_world_process_zero=args.replicas.rank == 0,
    )


@dataclass
class Losses:
    """The losses of steps.

    Attributes:
        sum: of the ``summed`` steps since the log was written last.
        whole_sum: of all steps.
        last: what the log says of the last step besides.
    """

    sum: float = 0.0
    summed: int = 0
    whole_sum: float = 0.0
    last: dict[str, float] = field(default_factory=dict)

    def add(self, loss: float | None, norm: float, rate: float) -> None:
        """Count a step, ``loss`` being None where it was left out."""
        self.last = {"grad_norm": norm, "learning_rate": rate}
        if loss is not None:
            self.sum, self.summed, self.whole_sum = self.sum + loss, self.summed + 1, self.whole_sum + loss

    def taken(self) -> dict[str, float]:
        """What the log is to say; begins anew."""
        logs = {"loss": self.sum / self.summed, **self.last}
        self.sum, self.summed = 0.0, 0
        return logs


@dataclass
class TrainerControl:
    """What is to be done next; callbacks change it."""

    should_training_stop: bool = False
    should_epoch_stop: bool = False
    should_save: bool = False
    should_evaluate: bool = False
    should_log: bool = False


class TrainOutput(NamedTuple):
    """What ``train`` returns; ``training_loss`` is the mean over the steps."""

    global_step: int
    training_loss: float
    metrics: dict[str, float]


class EvalLoopOutput(NamedTuple):
    """What an evaluation made: arrays, or tuples of arrays, with a row for each of ``num_samples``."""

    predictions: Any
    label_ids: Any
    metrics: dict[str, float] | None
    num_samples: int | None


class PredictionOutput(NamedTuple):
    """What ``predict`` returns."""

    predictions: Any
    label_ids: Any
    metrics: dict[str, float] | None


class EvalPrediction:
    """What ``compute_metrics`` gets: arrays, or tuples of arrays; can be unpacked to predictions and labels.

    Attributes:
        predictions: what the model made, padded with -100 where rows differ in length.
        label_ids: the labels, padded in the same way.
        inputs: the model's main input where ``include_for_metrics`` names "inputs".
        losses: of each batch where it names "loss".
    """

    def __init__(self, predictions: Any, label_ids: Any, inputs: Any = None, losses: Any = None) -> None:
        self.predictions, self.label_ids, self.inputs, self.losses = predictions, label_ids, inputs, losses

    def __iter__(self) -> Iterator[Any]:
        given = (self.predictions, self.label_ids, self.inputs, self.losses)
        return iter([*given[:2], *(value for value in given[2:] if value is not None)])

    def __getitem__(self, index: int) -> Any:
        return list(self)[index]
