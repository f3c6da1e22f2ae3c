"""``pipeline``: a task and a checkpoint to a pipeline that is ready to be called."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any

from headway.errors import InputError, WeightsError
from headway.pipelines.base import Pipeline, find_pipeline, pipelines
from headway.pipelines.device import place_of
from headway.pipelines.infer import task_of

# What pipelines need beside the model, and the Auto class that loads it.
PARTS = {"tokenizer": "AutoTokenizer", "image_processor": "AutoImageProcessor"}


def pipeline(
    task: str | None = None,
    model: Any = None,
    config: Any = None,
    tokenizer: Any = None,
    image_processor: Any = None,
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
        task: such as ``"text-classification"``; left out, the checkpoint tells: its head, its card, its config.
        model: a folder, a hub id, or a model; left out, the small model of the task that comes with headway.
        config: a config, or the place of one, other than the model's.
        tokenizer: a tokenizer, or the place of one, other than the model's.
        image_processor: an image processor, or the place of one, other than the model's.
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
        task = task_of(model, place)
    kind = pipeline_class or find_pipeline(task or "")
    auto = kind.auto if hasattr(kind, "auto") else find_pipeline(task or "").auto
    kwargs = {**kind.options_in(task or ""), **kwargs}
    if model is None:
        model, place = _default(kind, kwargs, place)
    given = {"tokenizer": tokenizer, "image_processor": image_processor}
    missing = [part for part in kind.parts if given[part] is None]
    where = place_of(device if device_map is None else device_map)
    if isinstance(model, str | os.PathLike):
        name: Any = os.fspath(model)
        model = _load(auto, kind.load_with, name, config, {"dtype": dtype, **place, **(model_kwargs or {})})
        model.to(where or place_of("auto"))
    else:
        name = model.config.name_or_path if missing else ""
        if where is not None:
            model.to(where)
    if not allow_new_head:
        _refuse_new(model, kind.task or task or "", auto)
    if name:
        kwargs = {**kind.options_of(name, place), **kwargs}
    elif missing:
        raise InputError(f"This model does not know where it came from, so pass its {' and its '.join(missing)} too.")
    parts = {
        part: _part(part, name if value is None else value, place)
        for part, value in given.items()
        if value is not None or part in missing
    }
    model.eval()
    return kind(model, **parts, **kwargs)


def _part(part: str, given: Any, place: dict[str, Any]) -> Any:
    """A tokenizer or another part of a pipeline, loaded where its place is given."""
    import headway

    return (
        getattr(headway, PARTS[part]).from_pretrained(given, **place) if isinstance(given, str | os.PathLike) else given
    )


def _load(auto: Any, load_with: Mapping[str, Any], name: str, config: Any, arguments: dict[str, Any]) -> Any:
    import headway
    from headway.auto.config import AutoConfig
    from headway.config import SOURCE_KEYWORDS, PreTrainedConfig

    place = {key: arguments[key] for key in SOURCE_KEYWORDS if key in arguments}
    if not isinstance(config, PreTrainedConfig):
        config = AutoConfig.from_pretrained(name if config is None else config, **place)
    auto = getattr(headway, auto) if isinstance(auto, str) else auto
    takes = inspect.signature(getattr(auto, "_class", lambda _: auto)(config).__init__).parameters
    with_pipeline = {key: value for key, value in load_with.items() if key in takes}
    return auto.from_pretrained(name, config=config, **with_pipeline, **arguments)


def _default(kind: type[Pipeline], options: Mapping[str, Any], place: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The model of a task where the caller names none, and its place."""
    from headway.embedded import folder

    wanted = kind.told(options)
    if (found := folder(wanted)) is not None:
        return str(found), place
    if kind.default is None:
        raise InputError(f"headway brings no small model for {wanted}; pass model= (--model), a folder or a hub id.")
    name, revision = kind.default
    return name, {"revision": revision, **place} if revision else place


def _refuse_new(model: Any, task: str, auto: Any) -> None:
    """Raise where parameters that the answers depend on were drawn at random, not read from the checkpoint."""
    report = getattr(model, "load_report", None)
    if report is None:
        return
    new = [*report.new, *(mismatch.name for mismatch in report.mismatched)]
    if auto == "AutoModel":  # it reads the last states, which the pooler comes after
        new = [name for name in new if not name.startswith("backbone.pooler.")]
    if new:
        listed = ", ".join(new[:3]) + (" ..." if len(new) > 3 else "")
        raise WeightsError(
            f"{report.checkpoint} has no trained head for {task} ({listed} would be random): choose a checkpoint "
            "that has one, or pass allow_new_head=True."
        )
