"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def place(command: F) -> F:
    """Where on the hub a checkpoint is, as arguments of ``from_pretrained``."""
    command = click.option("--subfolder", default="", help="Folder within the checkpoint.")(command)
    return click.option("--revision", help="Branch, tag or commit of the repo.")(command)
