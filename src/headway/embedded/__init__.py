"""Small models, one a task, that come with headway: toys that let every task run offline, made by ``recipes/``."""

from importlib.resources import files
from pathlib import Path


def folder(task: str) -> Path | None:
    """The folder of the small model for ``task``, None if there is none."""
    found = Path(str(files(__name__))) / task
    return found if (found / "config.json").is_file() else None
