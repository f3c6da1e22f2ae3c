"""Pipelines that answer one input after the other, in the steps in which classes of the field are written."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from headway.outputs import ModelOutput
from headway.pipelines.options import Options, option

# How such classes say what they need beside the model.
FLAGS = {"_load_tokenizer": "tokenizer", "_load_image_processor": "image_processor"}

STEPS = ("_sanitize_parameters", "preprocess", "_forward", "postprocess")


@dataclass(frozen=True, kw_only=True)
class StepOptions(Options):
    """What ``_sanitize_parameters`` is given: the names in ``further``, or with ``any_other`` whatever is said."""

    any_other: ClassVar[bool] = False

    said: Mapping[str, Any] = option(None, "the options of its own")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "said", dict(self.said or {}))

    def changed(self, values: Mapping[str, Any]) -> Self:
        own = {one.name for one in fields(self)}
        said = {name: values[name] for name in values if name not in own and (self.any_other or name in self.further)}
        rest = {name: value for name, value in values.items() if name not in said}
        return super().changed({**rest, "said": {**self.said, **said}} if said else rest)


def names_of(function: Callable[..., Any]) -> tuple[str, ...] | None:
    """The arguments that a method takes by name, None where it takes any."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return None
    return tuple(one.name for one in parameters)


def in_steps(pipeline: Any, items: Sequence[Any], arguments: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The answers to ``items`` by the steps of a pipeline, with the arguments of each step."""
    import torch

    before, during, after = arguments
    answers = []
    for item in items:
        inputs = moved(pipeline.preprocess(item, **before), pipeline.device)
        with torch.inference_mode():
            outputs = moved(pipeline._forward(inputs, **during), torch.device("cpu"))
        answers.append(pipeline.postprocess(outputs, **after))
    return answers


def moved(value: Any, device: Any) -> Any:
    """``value`` with all tensors in it on ``device``."""
    if isinstance(value, ModelOutput):
        return type(value)(**{name: moved(part, device) for name, part in value.items()})
    if callable(getattr(value, "to", None)):
        return value.to(device)
    if isinstance(value, Mapping):
        return {name: moved(part, device) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(moved(part, device) for part in value)
    return value
