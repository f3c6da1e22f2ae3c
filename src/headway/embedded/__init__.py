"""Small models that come with headway: toys that let tasks run offline, made by ``recipes/``."""

from importlib.resources import files
from pathlib import Path

# Tasks that the model of another one does as well.
SHARED = {
    "image-feature-extraction": "image-classification",
    "sentence-similarity": "feature-extraction",
    "summarization": "text2text-generation",
    "translation": "text2text-generation",
    "translation_en_to_de": "text2text-generation",
}


def folder(task: str) -> Path | None:
    """The folder of the small model for ``task``, None if there is none."""
    found = Path(str(files(__name__))) / SHARED.get(task, task)
    return found if (found / "config.json").is_file() else None
