"""What a ``Trainer`` has: a model and how to train it, data, callbacks, an optimizer, and the files that it writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from headway.errors import InputError
from headway.io.atomic import write_file
from headway.training.arguments import TrainingArguments
from headway.training.batches import check_columns, columns_taken, eval_batches, train_batches
from headway.training.callbacks import Callbacks, Flow, TrainerCallback
from headway.training.checkpoint import saver
from headway.training.collators import DataCollatorWithPadding, default_data_collator
from headway.training.optimizers import make_optimizer
from headway.training.precision import Precision, keep_masters
from headway.training.randomness import set_seed
from headway.training.reporting import reporters
from headway.training.schedules import make_schedule
from headway.training.state import TrainerControl, TrainerState


class Equipment:
    """Everything that training and evaluating need; see ``Trainer``, which does them."""

    def __init__(
        self,
        model: nn.Module | None = None,
        args: TrainingArguments | None = None,
        data_collator: Callable[[list[Any]], Any] | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        model_init: Callable[[], nn.Module] | None = None,
        compute_loss_func: Callable[..., Tensor] | None = None,
        compute_metrics: Any = None,
        callbacks: Sequence[TrainerCallback | type[TrainerCallback]] | None = None,
        optimizers: tuple[Optimizer | None, Any] = (None, None),
        preprocess_logits_for_metrics: Callable[[Any, Any], Any] | None = None,
        tokenizer: Any = None,
    ) -> None:
        if (model is None) == (model_init is None):
            raise InputError("Pass either a model or model_init, which makes one.")
        self.args = TrainingArguments() if args is None else args
        set_seed(self.args.seed, self.args.full_determinism)
        self.model_init = model_init
        self.processing_class = tokenizer if processing_class is None else processing_class
        self.train_dataset, self.eval_dataset = train_dataset, eval_dataset
        self.data_collator = data_collator or self._default_collator()
        self.compute_loss_func, self.compute_metrics = compute_loss_func, compute_metrics
        self.preprocess_logits_for_metrics = preprocess_logits_for_metrics
        self.optimizer: Any
        self.optimizer, self.lr_scheduler = optimizers
        self.precision = Precision(self.args)
        self.state, self.control = TrainerState(), TrainerControl()
        self._said: set[str] = set()
        self.model: Any = self._placed(model_init() if model_init is not None else model)
        self._check()
        self.callbacks = Callbacks([Flow, *reporters(self.args), *(callbacks or ())], self)
        self.callbacks.call("on_init_end")

    def _check(self) -> None:
        args = self.args
        if args.eval_strategy != "no" and self.eval_dataset is None:
            raise InputError(f"eval_strategy={args.eval_strategy!r} needs an eval_dataset.")
        if args.label_smoothing_factor and not hasattr(self.model, "loss_counts"):
            raise InputError(
                "label_smoothing_factor is for headway's heads; give a model of your own a compute_loss_func."
            )
        if args.gradient_checkpointing and not hasattr(self.model, "gradient_checkpointing_enable"):
            raise InputError(f"{type(self.model).__name__} has no gradient_checkpointing_enable().")
        if self.optimizer is not None and self.model_init is not None:
            raise InputError("An optimizer of your own holds the parameters of one model; pass it with that model.")
        if self.optimizer is not None and args.sharding is not None:
            raise InputError("An optimizer of your own holds whole parameters, which fsdp cuts; choose one by optim.")
        if args.saves_shares and getattr(self.model, "peft_config", None):
            raise InputError("A checkpoint of an adapter is small, and written whole; leave state_dict_type out.")

    def _placed(self, model: Any) -> Any:
        if self.args.sharding is not None:  # a share keeps the type that it was cut in
            keep_masters(model, self.precision.dtype is not None)
        return self.args.replicas.place(model)

    def _default_collator(self) -> Callable[[list[Any]], Any]:
        pads = hasattr(self.processing_class, "pad")
        return DataCollatorWithPadding(self.processing_class) if pads else default_data_collator

    # --- what users ask for ------------------------------------------------------------------------------------------

    @property
    def tokenizer(self) -> Any:
        """Another name of ``processing_class``."""
        return self.processing_class

    @property
    def label_names(self) -> list[str]:
        """The arguments that carry labels."""
        if self.args.label_names is not None:
            return list(self.args.label_names)
        return self.target_names or ["labels"]

    @property
    def target_names(self) -> list[str]:
        """The labels that the model counts by itself."""
        known = list(getattr(getattr(self.model, "plan", None), "targets", ()))
        return known or (["return_loss"] if self._compares else [])

    @property
    def _compares(self) -> bool:
        """Is the model's loss made of pairs of its inputs, so that there are no labels?"""
        return hasattr(self.model, "get_image_features") and hasattr(self.model, "loss_counts")

    @property
    def prediction_fill(self) -> int:
        """What stands in predictions where a row is shorter than others."""
        return -100

    def add_callback(self, callback: TrainerCallback | type[TrainerCallback]) -> None:
        """One more callback, or a class of one."""
        self.callbacks.add(callback)

    def pop_callback(self, callback: TrainerCallback | type[TrainerCallback]) -> TrainerCallback | None:
        """Take out a callback and return it."""
        return self.callbacks.pop(callback)

    def remove_callback(self, callback: TrainerCallback | type[TrainerCallback]) -> None:
        """Take out a callback."""
        self.callbacks.pop(callback)

    def is_world_process_zero(self) -> bool:
        """Is this the process that writes files?"""
        return self.args.should_save

    # --- optimizer and schedule ---------------------------------------------------------------------------------------

    def create_optimizer_and_scheduler(self, num_training_steps: int) -> None:
        """Make the optimizer and the schedule where there are none."""
        self.create_optimizer()
        self.create_scheduler(num_training_steps, self.optimizer)

    def create_optimizer(self) -> Optimizer:
        """Make the optimizer where there is none."""
        if self.optimizer is None:
            self.optimizer = make_optimizer(self.model, self.args)
        made: Optimizer = self.optimizer
        return made

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> Any:
        """Make the schedule where there is none."""
        if self.lr_scheduler is None:
            self.lr_scheduler = make_schedule(optimizer or self.create_optimizer(), self.args, num_training_steps)
        return self.lr_scheduler

    # --- data --------------------------------------------------------------------------------------------------------

    def _columns(self, dataset: Any) -> frozenset[str] | None:
        taken = columns_taken(self.model, self.label_names) if self.args.remove_unused_columns else None
        check_columns(dataset, taken, self.model, self._said)
        return taken

    def get_train_dataloader(self) -> Any:
        """The batches of the training. A loader of your own gives those of one process, one for each pass."""
        dataset = self.train_dataset
        return train_batches(dataset, self.data_collator, self.args, self._columns(dataset))

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """The batches of an evaluation."""
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if dataset is None:
            raise InputError("There is no eval_dataset to evaluate on.")
        return eval_batches(dataset, self.data_collator, self.args, self._columns(dataset))

    def get_test_dataloader(self, test_dataset: Any) -> Any:
        """The batches of a prediction."""
        return self.get_eval_dataloader(test_dataset)

    # --- logging and saving ------------------------------------------------------------------------------------------

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Enter ``logs`` in the history of the training, and let callbacks know."""
        logs = {**logs, "epoch": self.state.epoch}
        self.state.log_history.append({**logs, "step": self.state.global_step})
        self.callbacks.call("on_log", logs=logs)

    def save_model(self, output_dir: str | Path | None = None, _internal_call: bool = False) -> None:
        """Write the model and the tokenizer into a folder, ``output_dir`` of the arguments by default."""
        folder = str(self.args.output_dir if output_dir is None else output_dir)
        with self.args.replicas.whole(self.model):
            if self.args.should_save:
                saver(self.model)(folder)
                if hasattr(self.processing_class, "save_pretrained"):
                    self.processing_class.save_pretrained(folder)
        self.args.replicas.wait()

    def save_state(self) -> None:
        """Write ``trainer_state.json`` into ``output_dir``."""
        if self.args.should_save:
            folder = Path(str(self.args.output_dir))
            folder.mkdir(parents=True, exist_ok=True)
            self.state.save_to_json(folder / "trainer_state.json")

    def log_metrics(self, split: str, metrics: Mapping[str, float]) -> None:
        """Print metrics as a table."""
        if self.args.should_save:
            width = max(map(len, metrics), default=0)
            print(f"***** {split} metrics *****")
            for name, value in sorted(metrics.items()):
                print(
                    f"  {name:<{width}} = {value:.4f}" if isinstance(value, float) else f"  {name:<{width}} = {value}"
                )

    def save_metrics(self, split: str, metrics: Mapping[str, float]) -> None:
        """Write metrics as ``{split}_results.json`` into ``output_dir``."""
        if self.args.should_save:
            folder = Path(str(self.args.output_dir))
            folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(dict(metrics), indent=2, sort_keys=True) + "\n"
            write_file(folder / f"{split}_results.json", text.encode())
