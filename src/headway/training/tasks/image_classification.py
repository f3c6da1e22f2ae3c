"""Image classification: a class for an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.errors import InputError
from headway.training.data import Row
from headway.training.metrics import F1, Accuracy, Joint
from headway.training.report.looks import Classes
from headway.training.tasks.base import Column, Evaluated, Task
from headway.training.tasks.labels import label_names, label_settings, names_of, numbered, numbers_by_name


@dataclass(frozen=True)
class Pictures:
    """Images that are opened when they are asked for, with their labels."""

    paths: Sequence[str]
    labels: Sequence[int]
    processor: Any

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, at: int) -> dict[str, Any]:
        return {"pixel_values": self.processor(self.paths[at])["pixel_values"][0], "labels": self.labels[at]}


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """Images have no options."""


class ImageClassification(Task):
    """Images in folders that name their classes, or rows with the path of an image and a label."""

    name = "image-classification"
    auto = "AutoModelForImageClassification"
    summary = "a class for an image"
    roles = (
        Column("image", "the path of the image", ("image", "path", "file", "file_name", "filename")),
        Column("label", "the label", ("label", "labels", "class", "category")),
    )
    Options = ImageOptions  # type: ignore[assignment]

    def learn(self, rows: Sequence[Row]) -> None:
        self.names = names_of(self.of(row, "label") for row in rows)

    def settings(self, config: Any) -> dict[str, Any]:
        return label_settings(self.names, config)

    def processor(self, checkpoint: str) -> Any:
        from headway.processing.images import AutoImageProcessor

        return AutoImageProcessor.from_pretrained(checkpoint)

    def encode(self, rows: Sequence[Row], processor: Any, model: Any) -> Any:
        paths = self.texts(rows, "image")
        missing = next((path for path in paths if not Path(path).is_file()), None)
        if missing is not None:
            raise InputError(f"There is no image {missing!r}; paths are seen from the folder that headway runs in.")
        labels = numbered((self.of(row, "label") for row in rows), numbers_by_name(model.config))
        return Pictures(paths, labels, processor)

    def collator(self, processor: Any, model: Any) -> Any:
        from headway.training.collators import default_data_collator

        return default_data_collator

    def evaluated(self, rows: Sequence[Row], dataset: Any, processor: Any, model: Any) -> Evaluated:
        return Evaluated(Joint(Accuracy(), F1("macro")), look=Classes(label_names(model.config)))

    def facts(self) -> dict[str, Any]:
        return {"labels": f"{len(self.names)}: {', '.join(self.names[:12])}{', …' if len(self.names) > 12 else ''}"}

    def example(self) -> str:
        return '"image.png"'
