"""``pipeline``: a task and a checkpoint to a pipeline that is ready to be called."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any

from headway.errors import InputError, WeightsError
from headway.pipelines.base import Pipeline, find_pipeline, pipelines


def pipeline(
    task: str | None = None,
    model: Any = None,
    config: Any = None,
    tokenizer: Any = None,
    *,
    device: Any = None,
    device_map: Any = None,
    dtype: Any = "auto",
    model_kwargs: Mapping[str, Any] | None = None,
    allow_new_head: bool = False,
    pipeline_class: type[Pipeline] | None = None,
    **kwargs: Any,
) -> Pipeline:
    """Make the pipeline of a task.

    Args:
        task: such as ``"text-classification"``; left out, the head that ``model`` has tells.
        model: a folder, a hub id, or a model; left out, the small model of the task that comes with headway.
        config: a config, or the place of one, other than the model's.
        tokenizer: a tokenizer, or the place of one, other than the model's.
        device: ``"cpu"``, ``"cuda:0"``, ``0`` for the first GPU, ``-1`` for the CPU; left out, a GPU where there is
            one. A model that is given stays where it is unless this says otherwise.
        device_map: the same, under the name that ``from_pretrained`` gives it.
        dtype: the type of the weights; ``"auto"`` is the checkpoint's. ``torch_dtype`` is an older name.
        model_kwargs: further arguments of ``from_pretrained``.
        allow_new_head: predict even if the checkpoint has no head for the task, with one drawn at random.
        pipeline_class: a class in place of the task's.
        **kwargs: ``revision``, ``subfolder``, ``cache_dir``, ``token``, ``local_files_only``, ``force_download``, and
            the task's options.

    Raises:
        InputError: the task or an option is unknown, or there is no model for the task.
        CheckpointError: there is no such checkpoint, or it is damaged.
        WeightsError: the checkpoint has no head for the task.
    """
    from headway.config import take_source_keywords

    kwargs.pop("use_fast", None)
    dtype = kwargs.pop("torch_dtype", dtype)
    place = take_source_keywords(kwargs)
    if pipeline_class is None and task is None:
        if model is None:
            raise InputError(f"pipeline needs a task or a model; the tasks are {', '.join(pipelines())}.")
        task = _task_of(model, place)
    kind = pipeline_class or find_pipeline(task or "")
    kwargs = {**kind.options_in(task or ""), **kwargs}
    if model is None:
        model = _embedded(kind)
    where = _device(device if device_map is None else device_map)
    if isinstance(model, str | os.PathLike):
        name: Any = os.fspath(model)
        model = _load(kind, name, config, {"dtype": dtype, **place, **(model_kwargs or {})})
        model.to(where or _device("auto"))
    else:
        name = "" if tokenizer is not None else model.config.name_or_path
        if where is not None:
            model.to(where)
    if not allow_new_head:
        _refuse_new(model, kind)
    if name:
        kwargs = {**kind.options_of(name, place), **kwargs}
    if tokenizer is None and not name:
        raise InputError("This model does not know where it came from, so pass its tokenizer too.")
    if tokenizer is None or isinstance(tokenizer, str | os.PathLike):
        from headway.auto.tokenizer import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(name if tokenizer is None else tokenizer, **place)
    model.eval()
    return kind(model, tokenizer, **kwargs)


def _load(kind: type[Pipeline], name: str, config: Any, arguments: dict[str, Any]) -> Any:
    import headway
    from headway.auto.config import AutoConfig
    from headway.config import SOURCE_KEYWORDS, PreTrainedConfig

    place = {key: arguments[key] for key in SOURCE_KEYWORDS if key in arguments}
    if not isinstance(config, PreTrainedConfig):
        config = AutoConfig.from_pretrained(name if config is None else config, **place)
    auto = getattr(headway, kind.auto)
    takes = inspect.signature(auto._class(config).__init__).parameters
    with_pipeline = {key: value for key, value in kind.load_with.items() if key in takes}
    return auto.from_pretrained(name, config=config, **with_pipeline, **arguments)


def _embedded(kind: type[Pipeline]) -> str:
    from headway.embedded import folder

    found = folder(kind.task)
    if found is None:
        raise InputError(f"headway brings no small model for {kind.task}; pass model= (--model), a folder or a hub id.")
    return str(found)


def _refuse_new(model: Any, kind: type[Pipeline]) -> None:
    """Raise where parameters that the answers depend on were drawn at random, not read from the checkpoint."""
    report = getattr(model, "load_report", None)
    if report is None:
        return
    new = [*report.new, *(mismatch.name for mismatch in report.mismatched)]
    if kind.auto == "AutoModel":  # it reads the last states, which the pooler comes after
        new = [name for name in new if not name.startswith("backbone.pooler.")]
    if new:
        listed = ", ".join(new[:3]) + (" ..." if len(new) > 3 else "")
        raise WeightsError(
            f"{report.checkpoint} has no trained head for {kind.task} ({listed} would be random): choose a checkpoint "
            "that has one, or pass allow_new_head=True."
        )


def _task_of(model: Any, place: dict[str, Any]) -> str:
    """The task whose Auto class makes models like this one."""
    import headway
    from headway.auto.config import AutoConfig
    from headway.models.classes import find_class

    if isinstance(model, str | os.PathLike):
        names = AutoConfig.from_pretrained(model, **place).architectures or []
    else:
        names = [type(model).__name__]
    heads = {found[1] for name in names if (found := find_class(name)) is not None}
    for task, kind in pipelines().items():
        if kind.told_by_head and getattr(headway, kind.auto).task in heads:
            return task
    raise InputError(
        f"The task of {names[0] if names else model!r} is not known; name it: one of {', '.join(pipelines())}."
    )


def _device(device: Any) -> Any:
    import torch

    if device is None or isinstance(device, torch.device):
        return device
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if isinstance(device, int):
        device = "cpu" if device < 0 else f"cuda:{device}"
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        raise InputError(f"device={device!r} is no device; use 'cpu', 'cuda:0' or a number.") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device={device!r} is not there: torch sees no GPU on this machine.")
    return found
