"""Going through a data set without learning: the loss, predictions, and metrics of them."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from headway.errors import InputError
from headway.training.metrics.base import Metric
from headway.training.shares import counts_of, rows_of
from headway.training.state import EvalLoopOutput, EvalPrediction

if TYPE_CHECKING:
    from headway.training.trainer import Trainer

Metrics = dict[str, float]
# What stands where a row has no value.
_FILL = -100


class Sink:
    """What becomes of predictions and labels, batch by batch; this one forgets them."""

    wants_predictions = False

    def take(self, batch: Prediction) -> None:
        """One more batch of all processes."""

    def metrics(self) -> Metrics:
        """The metrics over all batches."""
        return {}


class Prediction(EvalPrediction):
    """A batch's predictions, labels and, where asked for, main inputs and loss, as arrays."""


class Streaming(Sink):
    """A ``Metric`` counts each batch, which is then forgotten."""

    wants_predictions = True

    def __init__(self, metric: Metric) -> None:
        self.metric = copy.deepcopy(metric)

    def take(self, batch: Prediction) -> None:
        self.metric.add(batch.predictions, batch.label_ids)

    def metrics(self) -> Metrics:
        return self.metric.value()


class Batched(Sink):
    """A function is called with each batch, and with ``compute_result=True`` at the last one."""

    wants_predictions = True

    def __init__(self, compute: Callable[..., Metrics]) -> None:
        self.compute = compute
        self.waiting: Prediction | None = None

    def take(self, batch: Prediction) -> None:
        if self.waiting is not None:
            self.compute(self.waiting, compute_result=False)
        self.waiting = batch

    def metrics(self) -> Metrics:
        return {} if self.waiting is None else self.compute(self.waiting, compute_result=True)


class Kept(Sink):
    """All batches are kept, as arrays in the memory of the host, and put together at the end.

    Args:
        compute: what makes metrics of them, a function of one ``EvalPrediction`` or a ``Metric``.
        fill: what stands in predictions where a row is shorter than others.
    """

    wants_predictions = True

    def __init__(self, compute: Any, fill: int = _FILL) -> None:
        self.compute, self.fill = compute, fill
        self.batches: list[Prediction] = []

    def take(self, batch: Prediction) -> None:
        self.batches.append(batch)

    def whole(self) -> Prediction:
        """All rows in one."""
        parts = self.batches
        return Prediction(
            joined([part.predictions for part in parts], self.fill),
            joined([part.label_ids for part in parts]),
            joined([part.inputs for part in parts]),
            joined([part.losses for part in parts]),
        )

    def metrics(self) -> Metrics:
        whole = self.whole()
        if self.compute is None or whole.predictions is None or whole.label_ids is None:
            return {}
        if isinstance(self.compute, Metric):
            return copy.deepcopy(self.compute).of(whole.predictions, whole.label_ids)
        return dict(self.compute(whole))


def sink_for(trainer: Trainer, keep: bool, loss_only: bool) -> Sink:
    """What is to become of predictions: nothing where nobody asks for them, and no more is kept than is needed."""
    compute = trainer.compute_metrics
    if keep:
        return Kept(compute, trainer.prediction_fill)
    if compute is None or loss_only:
        return Sink()
    if isinstance(compute, Metric):
        return Streaming(compute)
    return Batched(compute) if trainer.args.batch_eval_metrics else Kept(compute, trainer.prediction_fill)


def evaluate(
    trainer: Trainer, batches: Iterable[Any], sink: Sink, prefix: str, ignore_keys: Sequence[str] | None
) -> EvalLoopOutput:
    """Run the model over ``batches`` and give ``sink`` what it makes of them.

    The loss is the mean over all labels of the data set. A head with several kinds of labels weighs its batches by
    all of them together.

    Returns:
        Predictions and labels where the sink keeps them, metrics with ``prefix`` before their names, and the rows.
    """
    group, model = trainer.args.replicas, trainer.model
    was_training = model.training
    model.eval()
    began = time.perf_counter()
    sums = torch.zeros(3, dtype=torch.float64)  # loss, labels, rows
    rounds = 0
    try:
        for batch in batches:
            for other in group.company([batch]):
                trainer.prediction_step(model, other, True, ignore_keys)
            found = None
            if batch is not None:
                weight = sum((counts_of(model, batch) or {"": rows_of(batch)}).values())
                loss, predictions, labels = trainer.prediction_step(
                    model, batch, not sink.wants_predictions, ignore_keys
                )
                sums[2] += rows_of(batch)
                if loss is not None and weight:
                    sums[:2] += torch.tensor([float(loss) * weight, weight], dtype=torch.float64)
                found = _prediction(trainer, batch, loss, predictions, labels)
            if sink.wants_predictions:
                for one in group.gather(found):
                    if one is not None:
                        sink.take(one)
            rounds += 1
            trainer.callbacks.call("on_prediction_step", eval_dataloader=batches)
    finally:
        model.train(was_training)
    loss_sum, weight_sum, rows = group.sum(sums.to(group.device) if group.world > 1 else sums).tolist()
    metrics = dict(sink.metrics())
    if weight_sum:
        metrics.setdefault("loss", loss_sum / weight_sum)
    seconds = time.perf_counter() - began
    metrics |= {"runtime": seconds, "samples_per_second": rows / seconds, "steps_per_second": rounds / seconds}
    named = {
        key if key.startswith(f"{prefix}_") else f"{prefix}_{key}": _number(value) for key, value in metrics.items()
    }
    whole = sink.whole() if isinstance(sink, Kept) else Prediction(None, None)
    return EvalLoopOutput(whole.predictions, whole.label_ids, named, int(rows))


def _prediction(trainer: Trainer, batch: Mapping[str, Any], loss: Any, predictions: Any, labels: Any) -> Prediction:
    asked = trainer.args.include_for_metrics
    if predictions is not None and trainer.preprocess_logits_for_metrics is not None:
        predictions = trainer.preprocess_logits_for_metrics(predictions, labels)
    main = getattr(trainer.model, "main_input_name", "input_ids")
    return Prediction(
        arrays(predictions),
        arrays(labels),
        arrays(batch.get(main)) if "inputs" in asked else None,
        None if loss is None or "loss" not in asked else np.asarray([float(loss)]),
    )


def arrays(value: Any) -> Any:
    """Tensors as arrays on the host, also those in tuples and dictionaries."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    if isinstance(value, Mapping):
        return {key: arrays(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(arrays(item) for item in value)
    return value


def joined(parts: list[Any], fill: int = _FILL) -> Any:
    """Batches as one; where their rows differ in length, ``fill`` stands behind the shorter ones."""
    if not parts or parts[0] is None:
        return None
    if isinstance(parts[0], tuple):
        return tuple(joined([part[index] for part in parts], fill) for index in range(len(parts[0])))
    if isinstance(parts[0], dict):
        return {key: joined([part[key] for part in parts], fill) for key in parts[0]}
    if not all(isinstance(part, np.ndarray) and part.ndim for part in parts):
        raise InputError("Predictions and labels must be tensors with a row for each input, or tuples of such.")
    shape = tuple(np.max([part.shape[1:] for part in parts], axis=0)) if parts[0].ndim > 1 else ()
    if all(part.shape[1:] == shape for part in parts):
        return np.concatenate(parts)
    whole = np.full((sum(map(len, parts)), *shape), fill, dtype=parts[0].dtype)
    row = 0
    for part in parts:
        whole[(slice(row, row + len(part)), *map(slice, part.shape[1:]))] = part
        row += len(part)
    return whole


def _number(value: Any) -> Any:
    """Numbers of NumPy and torch as Python's."""
    return value.item() if hasattr(value, "item") and getattr(value, "size", 1) in (1,) else value
