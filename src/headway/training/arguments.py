"""``TrainingArguments``: how to train, under transformers' names and with its defaults."""

from __future__ import annotations

import json
from dataclasses import InitVar, asdict, dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headway.errors import InputError, did_you_mean
from headway.training import checks, fsdp

if TYPE_CHECKING:
    import torch

    from headway.generation.config import GenerationConfig
    from headway.parallel.replicas import Replicas


class _Named(type):
    """Says which keyword is unknown, and what it might have been, before Python says less of it."""

    if not TYPE_CHECKING:

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            known = [one.name for one in fields(cls)]
            for name in [name for name in kwargs if name not in known and name not in checks.ALIASES]:
                if name not in checks.ELSEWHERE:
                    raise InputError(f"{cls.__name__} has no argument {name!r}.{did_you_mean(name, known)}")
                value = kwargs.pop(name)
                if value not in (None, False, "", [], {}) and value != checks.NOTHING.get(name):
                    raise InputError(f"{name} has no meaning here: {checks.ELSEWHERE[name]}.")
            return super().__call__(*args, **kwargs)


@dataclass
class TrainingArguments(metaclass=_Named):
    """How to train. Every value is looked at here, so that nothing is found wrong in mid-training.

    Attributes:
        output_dir: where checkpoints go, as ``checkpoint-N``.
        num_train_epochs: passes over the data, parts of one too; ``max_steps`` above 0 counts steps in its place.
        per_device_train_batch_size: rows of one pass of one process.
        gradient_accumulation_steps: passes of one step. The loss of a step is the same however its rows are spread
            over passes and processes.
        learning_rate, weight_decay, adam_beta1, adam_beta2, adam_epsilon, optim, optim_args, layer_decay: of the
            optimizer, see ``make_optimizer``.
        max_grad_norm: gradients are scaled down to this norm; 0 leaves them.
        lr_scheduler_type, lr_scheduler_kwargs, warmup_steps: of the schedule; ``warmup_steps`` below 1 is a share of
            all steps, and ``warmup_ratio`` another name for that.
        label_smoothing_factor: the share of each label that goes to all classes alike.
        bf16, fp16: compute in this type. Weights and their updates stay in float32.
        gradient_checkpointing: compute layers again in the backward pass rather than keep what they made.
        logging_steps, eval_steps, save_steps: in steps, or below 1 a share of all; with ``logging_strategy``,
            ``eval_strategy`` and ``save_strategy`` "steps", "epoch" or "no" ("best" too for saving).
        logging_dir: where ``report_to`` "jsonl" and "tensorboard" write; ``runs`` in ``output_dir`` by default.
        report_to: "none", "jsonl", "tensorboard", "all", or a list of these.
        save_total_limit: so many checkpoints stay, the best one among them.
        load_best_model_at_end: end with the best checkpoint by ``metric_for_best_model`` (``eval_loss`` by default)
            and ``greater_is_better`` (by default, unless the name ends in "loss").
        seed, data_seed: of everything that is drawn, and of the order of the data where it is to differ.
        train_sampling_strategy: "random", "sequential", or "group_by_length", which ``group_by_length`` is short for.
        group_by_length: rows of one step are of about one length. Rows of a step are sorted into its passes by length
            in any case, where lengths are cheap to know, since that changes no result.
        length_column_name: the column that holds lengths, where there is one.
        resume_from_checkpoint: a checkpoint to go on from, True for the newest one of ``output_dir``, or "auto" for
            the newest one if there is any.
        nan_guard: what becomes of a step whose loss or gradients are not finite: "stop" says where it began, "skip"
            leaves the step out, "off" does not look.
        full_determinism: let torch use deterministic algorithms alone.
        ddp_backend, ddp_timeout: of the processes' connection, under torchrun.
        fsdp, fsdp_config: let each process of torchrun hold a share of the model; see ``headway.training.fsdp``.

    Raises:
        InputError: a name is unknown, a value is out of range, or two values contradict each other.
    """

    output_dir: str | None = None
    per_device_train_batch_size: int = 8
    per_device_eval_batch_size: int = 8
    num_train_epochs: float = 3.0
    max_steps: int = -1
    gradient_accumulation_steps: int = 1
    learning_rate: float = 5e-5
    lr_scheduler_type: str = "linear"
    lr_scheduler_kwargs: dict[str, Any] | str | None = None
    warmup_steps: float = 0
    warmup_ratio: float | None = None
    optim: str = "adamw_torch_fused"
    optim_args: str | dict[str, Any] | None = None
    weight_decay: float = 0.0
    layer_decay: float = 1.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    label_smoothing_factor: float = 0.0
    bf16: bool = False
    fp16: bool = False
    gradient_checkpointing: bool = False
    nan_guard: str = "stop"
    logging_strategy: str = "steps"
    logging_steps: float = 500
    logging_first_step: bool = False
    logging_dir: str | None = None
    report_to: str | list[str] = "none"
    run_name: str | None = None
    disable_tqdm: bool | None = None
    eval_strategy: str = "no"
    eval_steps: float | None = None
    eval_delay: float = 0
    eval_on_start: bool = False
    prediction_loss_only: bool = False
    batch_eval_metrics: bool = False
    include_for_metrics: list[str] = field(default_factory=list)
    save_strategy: str = "steps"
    save_steps: float = 500
    save_total_limit: int | None = None
    save_only_model: bool = False
    load_best_model_at_end: bool = False
    metric_for_best_model: str | None = None
    greater_is_better: bool | None = None
    resume_from_checkpoint: str | bool | None = None
    seed: int = 42
    data_seed: int | None = None
    full_determinism: bool = False
    train_sampling_strategy: str = "random"
    group_by_length: bool = False
    length_column_name: str = "length"
    dataloader_num_workers: int = 0
    dataloader_drop_last: bool = False
    dataloader_pin_memory: bool = True
    dataloader_persistent_workers: bool = False
    dataloader_prefetch_factor: int | None = None
    remove_unused_columns: bool = True
    label_names: list[str] | None = None
    use_cpu: bool = False
    ddp_backend: str | None = None
    ddp_timeout: int = 1800
    fsdp: bool | str | list[str] | None = None
    fsdp_config: dict[str, Any] | str | None = None
    do_train: bool = False
    do_eval: bool = False
    do_predict: bool = False
    evaluation_strategy: InitVar[str | None] = None

    def __post_init__(self, evaluation_strategy: str | None) -> None:
        if evaluation_strategy is not None:
            self.eval_strategy = evaluation_strategy
        self.output_dir = "trainer_output" if self.output_dir is None else str(self.output_dir)
        for name in ("logging_strategy", "eval_strategy", "save_strategy", "lr_scheduler_type", "optim"):
            value = getattr(self, name)
            setattr(self, name, str(getattr(value, "value", value)))  # members of enumerations too
        self.group_by_length |= self.train_sampling_strategy == "group_by_length"
        if self.warmup_ratio is not None:
            if self.warmup_steps:
                raise InputError("Pass either warmup_steps or warmup_ratio.")
            self.warmup_steps, self.warmup_ratio = float(self.warmup_ratio), None
        if isinstance(self.lr_scheduler_kwargs, str):
            self.lr_scheduler_kwargs = json.loads(self.lr_scheduler_kwargs)
        if self.eval_strategy == "steps" and self.eval_steps is None:
            self.eval_steps = self.logging_steps
        if self.metric_for_best_model is None and (self.load_best_model_at_end or self.save_strategy == "best"):
            self.metric_for_best_model = "loss"
        if self.greater_is_better is None and self.metric_for_best_model is not None:
            self.greater_is_better = not self.metric_for_best_model.endswith("loss")
        self.report_to = checks.reports(self.report_to)
        self.fsdp_config = fsdp.config(self.fsdp_config)
        self.gradient_checkpointing |= bool(self.fsdp) and bool(self.fsdp_config.get("activation_checkpointing"))
        checks.check(self)

    # --- what follows from them --------------------------------------------------------------------------------------

    @cached_property
    def sharding(self) -> bool | None:
        """Are units of a model that is cut taken apart between the passes? None for a model that is not cut."""
        return fsdp.reshards(self.fsdp, fsdp.config(self.fsdp_config))

    @property
    def saves_shares(self) -> bool:
        """Does every process write its share of a checkpoint?"""
        kind = fsdp.config(self.fsdp_config).get("state_dict_type")
        return self.sharding is not None and self.world_size > 1 and kind == "SHARDED_STATE_DICT"

    @cached_property
    def replicas(self) -> Replicas:
        """The processes that train together, and the device of this one; connected on first use."""
        from headway.parallel.replicas import connect

        found = connect(self.use_cpu, self.ddp_backend, self.ddp_timeout)
        if self.sharding is None or found.world == 1:
            return found
        import torch

        from headway.parallel.sharded import Shards

        return Shards(**vars(found), reshard=self.sharding, dtype=torch.bfloat16 if self.bf16 else None)

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return self.replicas.device

    @property
    def world_size(self) -> int:
        """How many processes train together."""
        return self.replicas.world

    @property
    def process_index(self) -> int:
        """The number of this process."""
        return self.replicas.rank

    @property
    def should_save(self) -> bool:
        """Is this the process that writes files?"""
        return self.replicas.rank == 0

    @property
    def train_batch_size(self) -> int:
        """Rows of one pass of one process."""
        return self.per_device_train_batch_size

    @property
    def eval_batch_size(self) -> int:
        """Rows of one pass of one process in evaluation."""
        return self.per_device_eval_batch_size

    def to_dict(self) -> dict[str, Any]:
        """The arguments as plain values."""
        values: dict[str, Any] = asdict(self)
        return values

    def to_json_string(self) -> str:
        """``to_dict`` as JSON."""
        return json.dumps(self.to_dict(), indent=2, default=str) + "\n"


@dataclass
class Seq2SeqTrainingArguments(TrainingArguments):
    """How to train a model that writes.

    Attributes:
        predict_with_generate: let evaluation and prediction write texts, in place of the logits of given ones.
        generation_max_length, generation_num_beams, generation_config: how they are written; the model's own
            ``generation_config`` where these do not say.
    """

    predict_with_generate: bool = False
    generation_max_length: int | None = None
    generation_num_beams: int | None = None
    generation_config: GenerationConfig | str | None = None
