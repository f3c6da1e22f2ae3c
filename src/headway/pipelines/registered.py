"""``PIPELINE_REGISTRY``: a class and a name for its task, put into the table of tasks as programs of the field do."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from typing import Any

from headway.errors import InputError
from headway.pipelines.base import Pipeline, names, pipelines

# What a pipeline for inputs of a kind needs beside the model.
PARTS = {
    "text": ("tokenizer",),
    "image": ("image_processor",),
    "multimodal": ("tokenizer", "image_processor"),
}


class PipelineRegistry:
    """The table of tasks; a subclass of ``Pipeline`` that says its own ``task`` enters it by being defined."""

    def register_pipeline(
        self,
        task: str,
        pipeline_class: type[Pipeline],
        pt_model: Any = None,
        default: Mapping[str, Any] | None = None,
        type: str | None = None,
    ) -> None:
        """Let ``pipeline(task)`` make a ``pipeline_class``; a task of that name is replaced.

        Args:
            task: its name.
            pipeline_class: a subclass of ``Pipeline``.
            pt_model: the class that loads its models, such as ``AutoModelForSequenceClassification``.
            default: ``{"model": (hub id, revision)}``, for calls that name no model.
            type: "text", "image" or "multimodal": what is loaded beside the model; left out, the class says.

        Raises:
            InputError: something else is given.
        """
        if not (inspect.isclass(pipeline_class) and issubclass(pipeline_class, Pipeline)):
            raise InputError(f"pipeline_class must be a subclass of headway.Pipeline, not {pipeline_class!r}.")
        if type is not None and type not in PARTS:
            raise InputError(f"type={type!r} is unknown; use one of {', '.join(PARTS)}.")
        pipelines()  # those that come with headway are there before, so as not to replace this one later
        loaders = pt_model if isinstance(pt_model, tuple) else (pt_model,) if pt_model is not None else ()
        if len(loaders) > 1:
            raise InputError(f"A task has one class that loads its models, but there are {len(loaders)}; give one.")
        said: dict[str, Any] = {"task": task, "default": _default(default), "told_by_head": False}
        said |= {"auto": loaders[0]} if loaders else {}
        said |= {} if type is None else {"parts": PARTS[type]}
        said |= {} if pipeline_class.summary else {"summary": f"answers of {pipeline_class.__name__}"}
        # A class of the same name under this one: being defined enters it, and what was given stays as it is.
        types.new_class(pipeline_class.__name__, (pipeline_class,), exec_body=lambda body: body.update(said))

    def get_supported_tasks(self) -> list[str]:
        """The names of all tasks, other names too."""
        return sorted(names())


def _default(given: Mapping[str, Any] | None) -> tuple[str, str | None] | None:
    """The hub id and revision that are the default, of the forms in which the field writes them."""
    while isinstance(given, Mapping):
        given = given.get("model", given.get("pt"))
    return None if given is None else (given, None) if isinstance(given, str) else (given[0], given[1])


PIPELINE_REGISTRY = PipelineRegistry()
