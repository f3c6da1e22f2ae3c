"""What can be wrong with arguments of training, each found when they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.errors import InputError, did_you_mean
from headway.training import fsdp

if TYPE_CHECKING:
    from headway.training.arguments import TrainingArguments

ALIASES = ("evaluation_strategy",)
REPORTS = ("jsonl", "tensorboard")
_STRATEGIES = {
    "logging_strategy": ("no", "steps", "epoch"),
    "eval_strategy": ("no", "steps", "epoch"),
    "save_strategy": ("no", "steps", "epoch", "best"),
    "train_sampling_strategy": ("random", "sequential", "group_by_length"),
    "nan_guard": ("stop", "skip", "off"),
}
# The least that numbers may be, and whether that itself is allowed.
_LEAST: dict[str, tuple[float, bool]] = {
    **dict.fromkeys(("per_device_train_batch_size", "per_device_eval_batch_size"), (1, True)),
    **dict.fromkeys(("gradient_accumulation_steps", "save_total_limit", "dataloader_prefetch_factor"), (1, True)),
    **dict.fromkeys(("logging_steps", "eval_steps", "save_steps", "num_train_epochs", "adam_epsilon"), (0, False)),
    **dict.fromkeys(("learning_rate", "weight_decay", "max_grad_norm", "warmup_steps", "eval_delay"), (0, True)),
    **dict.fromkeys(("adam_beta1", "adam_beta2", "label_smoothing_factor", "dataloader_num_workers"), (0, True)),
}
_BELOW_ONE = ("adam_beta1", "adam_beta2", "label_smoothing_factor")
_WHOLE = (
    *("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps", "save_total_limit"),
    *("dataloader_num_workers", "dataloader_prefetch_factor", "seed", "data_seed", "max_steps"),
)
# Arguments of transformers that would ask for something here, and what to do in their place.
ELSEWHERE = {
    **dict.fromkeys(
        ("push_to_hub", "hub_token", "hub_model_id", "hub_private_repo", "hub_always_push", "hub_revision"),
        "headway trains and saves, and uploads nothing; use huggingface_hub's upload_folder on the checkpoint",
    ),
    "hub_strategy": "headway uploads nothing",
    **dict.fromkeys(
        ("deepspeed", "accelerator_config", "parallelism_config"),
        "run the script under torchrun, and its processes train together; fsdp=True cuts the model",
    ),
    **dict.fromkeys(
        ("ddp_find_unused_parameters", "ddp_bucket_cap_mb", "ddp_broadcast_buffers", "ddp_static_graph"),
        "gradients of all processes are summed whichever parameters have one, so there is nothing to set",
    ),
    "local_rank": "it is read from the environment that torchrun sets",
    "average_tokens_across_devices": "the loss is that of the whole step, always",
    **dict.fromkeys(("no_cuda", "use_mps_device"), "use_cpu=True trains on the CPU"),
    "overwrite_output_dir": "checkpoints are replaced whole, and resume_from_checkpoint says where to go on from",
    "auto_find_batch_size": "choose per_device_train_batch_size; gradient_accumulation_steps changes no result",
    "gradient_checkpointing_kwargs": "layers are always computed again without re-entering autograd",
    "fp16_backend": "torch's own mixed precision is used",
    "half_precision_backend": "torch's own mixed precision is used",
    "fp16_opt_level": "torch's own mixed precision is used",
    "torch_compile": "compile the model yourself and pass it to the Trainer",
    "use_liger_kernel": "headway has kernels of its own",
    "neftune_noise_alpha": "add the noise in a compute_loss of your own",
    "torchdynamo": "compile the model yourself and pass it to the Trainer",
    "ignore_data_skip": "resuming goes on in the order of the data at no cost",
    "restore_callback_states_from_checkpoint": "callbacks with state_dict and load_state_dict are always restored",
    "sortish_sampler": "group_by_length=True does that",
    "eval_accumulation_steps": "predictions leave the device after every batch",
    "logging_nan_inf_filter": "nan_guard says what becomes of such steps",
    **dict.fromkeys(
        ("activation_checkpointing", "activation_checkpointing_kwargs"), "it is called gradient_checkpointing here"
    ),
    **dict.fromkeys(("bf16_full_eval", "fp16_full_eval"), "bf16=True and fp16=True are for evaluation too"),
    **dict.fromkeys(
        ("dataloader_in_order", "dataloader_multiprocessing_context"),
        "return a loader of your own from get_train_dataloader",
    ),
    **dict.fromkeys(
        ("debug", "skip_memory_metrics", "include_num_input_tokens_seen"), "watch the training with a callback"
    ),
    "enable_jit_checkpoint": "a training that gets SIGTERM saves before it leaves, always",
    **dict.fromkeys(
        ("eval_do_concat_batches", "eval_use_gather_object"),
        "pass a Metric as compute_metrics to see batches by themselves",
    ),
    **dict.fromkeys(
        ("log_level", "log_level_replica", "log_on_each_node"),
        "the first process logs; set logging.getLogger('headway')",
    ),
    "save_on_each_node": "the first process saves",
    "liger_kernel_config": "headway has kernels of its own",
    **dict.fromkeys(("torch_compile_backend", "torch_compile_mode"), "compile the model yourself"),
    **dict.fromkeys(
        ("project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id"),
        "log elsewhere with a callback of your own",
    ),
    "optim_target_modules": "freeze() says what is not trained",
    "torch_empty_cache_steps": "empty the cache in a callback",
    "use_cache": "no cache is made in training",
    "tf32": "set torch.backends.cuda.matmul.allow_tf32",
    **dict.fromkeys(("per_gpu_train_batch_size", "per_gpu_eval_batch_size"), "it is called per_device_... now"),
}


# What such arguments are where they ask for nothing, besides what is empty.
NOTHING = {
    **dict.fromkeys(("dataloader_in_order", "skip_memory_metrics", "eval_do_concat_batches", "log_on_each_node"), True),
    "log_level": "passive",
    "log_level_replica": "warning",
    "project": "huggingface",
    "local_rank": -1,
    "include_num_input_tokens_seen": "no",
    "average_tokens_across_devices": True,
    "hub_strategy": "every_save",
}


def reports(given: Any) -> list[str]:
    """Where logs go, as a list; raises ``InputError``."""
    names = [given] if isinstance(given, str) else list(given or ())
    if names in (["none"], []):
        return []
    if names == ["all"]:
        return list(REPORTS)
    for name in names:
        if name not in REPORTS:
            raise InputError(
                f"report_to={name!r} is unknown.{did_you_mean(name, REPORTS)} Use 'none', 'all', "
                f"{' or '.join(map(repr, REPORTS))}, or pass a callback of your own to the Trainer."
            )
    return names


def check(given: TrainingArguments) -> None:
    """Raises ``InputError`` where a value is out of range or two contradict each other."""
    for name, allowed in _STRATEGIES.items():
        value = getattr(given, name)
        if value not in allowed:
            raise InputError(
                f"{name}={value!r} is unknown.{did_you_mean(value, allowed)} Use one of {', '.join(allowed)}."
            )
    for name in {*_LEAST, *_WHOLE}:
        _check_number(name, getattr(given, name))
    if given.max_steps <= 0 and given.max_steps != -1:
        raise InputError(f"max_steps={given.max_steps} must be a number of steps, or -1 to count epochs.")
    _check_names(given)
    _check_precision(given)
    _check_best(given)
    _check_sharding(given)
    if given.prediction_loss_only and given.batch_eval_metrics:
        raise InputError("prediction_loss_only=True computes no metrics, so batch_eval_metrics=True has no meaning.")
    if given.dataloader_num_workers == 0:
        for name in ("dataloader_prefetch_factor", "dataloader_persistent_workers"):
            if getattr(given, name):
                raise InputError(f"{name} is for workers, and dataloader_num_workers is 0.")


def _check_number(name: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or (name in _WHOLE and value != int(value)):
        kind = "a whole number" if name in _WHOLE else "a number"
        raise InputError(f"{name}={value!r} must be {kind}.")
    least, included = _LEAST.get(name, (-float("inf"), True))
    if not (value >= least if included else value > least):
        raise InputError(f"{name}={value!r} must be {'at least' if included else 'above'} {least}.")
    if name in _BELOW_ONE and value >= 1:
        raise InputError(f"{name}={value!r} must be below 1.")


def _check_names(given: TrainingArguments) -> None:
    from headway.training.optimizers import OPTIMIZERS
    from headway.training.schedules import SCHEDULES

    for name, known in (("optim", OPTIMIZERS), ("lr_scheduler_type", SCHEDULES)):
        value = getattr(given, name)
        if value not in known:
            raise InputError(f"{name}={value!r} is unknown.{did_you_mean(value, known)} Use one of {', '.join(known)}.")


def _check_precision(given: TrainingArguments) -> None:
    if given.bf16 and given.fp16:
        raise InputError("bf16=True and fp16=True contradict each other; bf16 needs no scaling of the loss.")
    if given.fp16:
        import torch

        if given.use_cpu or not torch.cuda.is_available():
            raise InputError("fp16=True needs a CUDA device; on the CPU train in float32 or with bf16=True.")


def _check_sharding(given: TrainingArguments) -> None:
    if given.sharding is None:
        return
    if given.fp16:
        raise InputError("fp16=True and fsdp do not go together; take bf16=True, which needs no scaling of the loss.")
    if given.optim not in fsdp.OPTIMIZERS:
        raise InputError(
            f"optim={given.optim!r} needs whole parameters, which fsdp cuts; take one of {', '.join(fsdp.OPTIMIZERS)}."
        )
    if getattr(given, "predict_with_generate", False):
        raise InputError(
            "predict_with_generate=True needs the whole model in each process; with fsdp, load what was saved and let "
            "that write."
        )


def _check_best(given: TrainingArguments) -> None:
    if given.save_strategy == "best" and given.eval_strategy == "no":
        raise InputError("save_strategy='best' needs an eval_strategy, which says what is best.")
    if not given.load_best_model_at_end or given.save_strategy == "best":
        return
    if given.eval_strategy == "no" or given.save_strategy != given.eval_strategy:
        raise InputError(
            f"load_best_model_at_end=True needs a checkpoint of each evaluation, but eval_strategy is "
            f"{given.eval_strategy!r} and save_strategy {given.save_strategy!r}; let both be 'steps' or 'epoch'."
        )
    if given.eval_strategy == "steps" and given.eval_steps is not None:
        times = given.save_steps / given.eval_steps
        if abs(times - round(times)) > 1e-9 or times < 1:
            raise InputError(
                f"load_best_model_at_end=True needs save_steps={given.save_steps} to be a multiple of "
                f"eval_steps={given.eval_steps}."
            )
