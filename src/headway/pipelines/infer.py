"""Which task a model is for, where nobody says."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headway.errors import InputError
from headway.io.hub import locate
from headway.pipelines.base import Pipeline, named, pipelines


def task_of(model: Any, place: Mapping[str, Any]) -> str:
    """The task of a model, or of the checkpoint that ``model`` names.

    Its head says which come into question. Among them it is the one that the card of a local folder names
    (``pipeline_tag``), or the only one that the config has parameters for (``task_specific_params``), or else the one
    that models with this head are for before all others.

    Raises:
        InputError: there is no such task.
    """
    from headway.auto.config import AutoConfig
    from headway.models.assemble import model_class
    from headway.models.classes import find_class

    is_place = isinstance(model, str | os.PathLike)
    config = AutoConfig.from_pretrained(model, **place) if is_place else model.config
    names = (config.architectures or []) if is_place else [type(model).__name__]
    classes = [model_class(*found) for name in names if (found := find_class(name)) is not None]
    known = [kind for kind in pipelines().values() if any(_is_for(kind, made) for made in classes)]
    said = [*_on_card(model, place), *_of_params(config)] if is_place else [*_of_params(config)]
    for task in said:
        if named(task) in known:
            return task
    for kind in known:
        if kind.told_by_head:
            return kind.task
    raise InputError(
        f"The task of {names[0] if names else model!r} is not known; name it: one of {', '.join(pipelines())}."
    )


def _is_for(kind: type[Pipeline], made: Any) -> bool:
    """Is this a pipeline for models of a class?"""
    import headway
    from headway.models.plan import BASE

    auto = getattr(kind, "auto", None)
    task = getattr(getattr(headway, auto) if isinstance(auto, str) else auto, "task", None)
    return bool(task == made.task and (task != BASE or kind.reads == made.main_input_name))


def _on_card(model: str | os.PathLike[str], place: Mapping[str, Any]) -> Iterable[str]:
    """The task on the card in a local folder."""
    from headway.io.source import Folder

    source = locate(model, **place)
    card: Path | None = source.find("README.md") if isinstance(source, Folder) else None
    if card is None:
        return
    text = card.read_text(encoding="utf-8", errors="replace")
    head = text.split("\n---", 1)[0] if text.startswith("---") else ""
    if found := re.search(r"^pipeline_tag:[ \t]*[\"']?([\w-]+)[\"']?[ \t]*$", head, re.MULTILINE):
        yield found[1]


def _of_params(config: Any) -> Iterable[str]:
    """The task that the config has parameters for, where that is one alone."""
    params = getattr(config, "task_specific_params", None)
    if isinstance(params, Mapping) and len(params) == 1:
        yield from (str(task).replace("_", "-") if named(str(task)) is None else str(task) for task in params)
