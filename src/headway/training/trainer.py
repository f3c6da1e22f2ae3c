"""``Trainer``: trains and evaluates a model on a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headway.errors import InputError
from headway.training.checkpoint import chosen
from headway.training.equipment import Equipment
from headway.training.evaluation import Kept, evaluate, sink_for
from headway.training.loop import Training
from headway.training.outputs import loss_of, predictions_of
from headway.training.precision import keep_masters
from headway.training.randomness import set_seed
from headway.training.shares import Share
from headway.training.state import EvalLoopOutput, PredictionOutput, TrainerControl, TrainOutput


class Trainer(Equipment):
    """Trains a model, exactly: how a step is split over passes and processes changes nothing.

    Args:
        model: a headway model, or any module that takes a batch by keywords and returns an output whose ``loss`` is the
            mean over its rows.
        args: how to train.
        train_dataset, eval_dataset: of ``datasets``, of torch, a list of dictionaries, or what gives rows one by one;
            ``eval_dataset`` may be a dictionary of several, each evaluated under its name.
        data_collator: makes a batch of a list of rows; by default rows are padded by the ``processing_class``, or
            stacked where there is none.
        processing_class: the tokenizer (or image processor), which is saved with the model; ``tokenizer`` is another
            name for it.
        model_init: makes the model when training starts, in place of ``model``.
        compute_loss_func: ``(outputs, labels, num_items_in_batch)`` to the loss of a batch: the mean over its labels,
            or their sum divided by ``num_items_in_batch``, which is their number.
        compute_metrics: a function of an ``EvalPrediction`` to a dictionary, or a ``Metric``, which counts batch by
            batch, so that the memory of an evaluation does not grow with the data set.
        callbacks: what is to happen at events besides.
        optimizers: an optimizer and a schedule of your own; either may be None.
        preprocess_logits_for_metrics: ``(logits, labels)`` to what is kept of a batch for ``compute_metrics``.

    Raises:
        InputError: an argument is missing, or two do not fit each other.
    """

    # --- training ----------------------------------------------------------------------------------------------------

    def train(self, resume_from_checkpoint: str | bool | Path | None = None) -> TrainOutput:
        """Train.

        On SIGTERM the step at hand is finished and saved, and the process ends with ``SystemExit(143)``.

        Args:
            resume_from_checkpoint: a checkpoint to go on from, True for the newest whole one of ``output_dir``,
                "auto" for that one if there is any; in place of that of the arguments. Weights, optimizer, schedule,
                order of the data, what is drawn and the log go on as if nothing had happened, on the CPU bit for bit.

        Raises:
            CheckpointError: the checkpoint is damaged, or was written with other data.
            InputError: there is nothing to train, or a data set has no column that the model takes.
            NonFiniteError: the loss or the gradients are not finite.
        """
        args = self.args
        if self.train_dataset is None and type(self).get_train_dataloader is Trainer.get_train_dataloader:
            raise InputError("There is no train_dataset to train on.")
        resume = args.resume_from_checkpoint if resume_from_checkpoint is None else resume_from_checkpoint
        checkpoint = chosen(resume, Path(str(args.output_dir)))
        set_seed(args.seed, args.full_determinism)
        if self.model_init is not None:
            self.model = self._placed(self.model_init())
            self.optimizer = self.lr_scheduler = None
        keep_masters(self.model, self.precision.dtype is not None)
        args.replicas.share_weights(self.model)
        set_seed(args.seed + args.process_index)
        if args.gradient_checkpointing:
            self.model.gradient_checkpointing_enable()
        self.model.train()
        self.control = TrainerControl()
        return Training(self).run(checkpoint)

    def training_step(self, model: nn.Module, inputs: Mapping[str, Any], share: Share) -> Tensor:
        """One pass forwards and backwards; returns its share of the step's loss."""
        batch = self.prepared(inputs)
        exact = (
            share.totals is not None
            and type(self).compute_loss is Trainer.compute_loss
            and self.compute_loss_func is None
        )
        if exact:
            batch["loss_counts"] = share.totals
        with self.precision.compute():
            loss = self.compute_loss(model, batch, num_items_in_batch=share.count)
        if loss.dim():
            loss = loss.mean()
        if not exact:
            # A mean over no label is not a number, and has no share.
            loss = loss * share.weight.to(loss.device) if share.count else torch.zeros_like(loss)
        if loss.requires_grad:
            self.precision.backward(loss)
        return loss.detach()

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: int | None = None,
    ) -> Any:
        """The loss of a batch: the mean over its labels. Override it for a loss of your own.

        Args:
            inputs: the batch, on the model's device.
            return_outputs: return ``(loss, outputs)``.
            num_items_in_batch: the labels of this batch, whose sum of losses divided by it is the mean. What the
                whole step makes of it is the trainer's concern.
        """
        if self.compute_loss_func is not None:
            config = getattr(model, "config", None)
            labels = {name: inputs[name] for name in self.label_names if name in inputs}
            without = {name: value for name, value in inputs.items() if name not in labels}
            outputs = model(**(inputs if getattr(config, "is_encoder_decoder", False) else without))
            given = next(iter(labels.values())) if len(labels) == 1 else labels
            loss = self.compute_loss_func(outputs, given, num_items_in_batch=num_items_in_batch)
        else:
            smoothing = self.args.label_smoothing_factor
            outputs = model(**inputs, **({"label_smoothing": smoothing} if smoothing and model.training else {}))
            loss = loss_of(outputs)
            if loss is None:
                names = " or ".join(self.label_names)
                raise InputError(
                    f"{type(model).__name__} returned no loss for {', '.join(inputs)}; the batch needs {names}."
                )
        return (loss, outputs) if return_outputs else loss

    def prepared(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """A batch on the device, as the model is to be called with it."""
        device = self.args.device
        batch = {
            name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
            for name, value in inputs.items()
        }
        if self._compares:
            batch.setdefault("return_loss", True)
        return batch

    # --- evaluation --------------------------------------------------------------------------------------------------

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Sequence[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """The loss on a data set, and what ``compute_metrics`` makes of the predictions, logged and returned.

        Args:
            eval_dataset: in place of the trainer's own; a name picks one of its several.
            ignore_keys: fields of the model's output that are no predictions.
            metric_key_prefix: stands before the names of metrics.
        """
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(dataset, str):
            if not isinstance(self.eval_dataset, dict) or dataset not in self.eval_dataset:
                raise InputError(f"There is no eval_dataset of the name {dataset!r}.")
            metric_key_prefix, dataset = f"{metric_key_prefix}_{dataset}", self.eval_dataset[dataset]
        if isinstance(dataset, dict):
            found: dict[str, float] = {}
            for name, one in dataset.items():
                found |= self.evaluate(one, ignore_keys, f"{metric_key_prefix}_{name}")
            return found
        loader = self.get_eval_dataloader(dataset)
        output = self.evaluation_loop(loader, "Evaluation", None, ignore_keys, metric_key_prefix)
        metrics = dict(output.metrics or {})
        self.log(metrics)
        self.callbacks.call("on_evaluate", metrics=metrics)
        return metrics

    def predict(
        self, test_dataset: Any, ignore_keys: Sequence[str] | None = None, metric_key_prefix: str = "test"
    ) -> PredictionOutput:
        """The predictions for a data set as arrays, its labels, and the metrics where it has labels."""
        loader = self.get_test_dataloader(test_dataset)
        output = evaluate(
            self, loader, Kept(self.compute_metrics, self.prediction_fill), metric_key_prefix, ignore_keys
        )
        self.callbacks.call("on_predict", metrics=output.metrics)
        return PredictionOutput(output.predictions, output.label_ids, output.metrics)

    def evaluation_loop(
        self,
        dataloader: Any,
        description: str = "Evaluation",
        prediction_loss_only: bool | None = None,
        ignore_keys: Sequence[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """Go through ``dataloader``; predictions are kept where ``compute_metrics`` needs all of them at once."""
        loss_only = self.args.prediction_loss_only if prediction_loss_only is None else prediction_loss_only
        sink = sink_for(self, keep=prediction_loss_only is False, loss_only=loss_only)
        return evaluate(self, dataloader, sink, metric_key_prefix, ignore_keys)

    @torch.no_grad()
    def prediction_step(
        self,
        model: nn.Module,
        inputs: Mapping[str, Any],
        prediction_loss_only: bool,
        ignore_keys: Sequence[str] | None = None,
    ) -> tuple[Tensor | None, Any, Any]:
        """One batch of an evaluation: its loss, predictions and labels, each None where there is none."""
        batch = self.prepared(inputs)
        labels = self._labels(batch)
        with self.precision.compute():
            if labels is not None or self._compares:
                loss, outputs = self.compute_loss(model, batch, return_outputs=True)
                loss = loss.detach().mean()
            else:
                loss, outputs = None, model(**batch)
        if prediction_loss_only:
            return loss, None, None
        return loss, predictions_of(outputs, ignore_keys), labels

    def _labels(self, batch: Mapping[str, Any]) -> Any:
        """The labels of a batch, in a tuple where there are several; None where one is missing."""
        found = [batch.get(name) for name in self.label_names]
        if any(value is None for value in found):
            return None
        return found[0] if len(found) == 1 else tuple(found)
