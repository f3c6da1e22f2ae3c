"""Model cards: ``README.md`` with what the hub reads, and what people want to know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headway.errors import CheckpointError
from headway.io.atomic import write_file
from headway.io.hub import locate


@dataclass(frozen=True)
class ModelCard:
    """A model card.

    Attributes:
        name: of the model.
        lead: what it is, in a sentence or two.
        task: the tag of its pipeline on the hub.
        base_model, license, language: where they are known.
        tags: further ones.
        data: what it was trained and evaluated on, in words, by name.
        dataset: the name of the data that ``metrics`` were measured on.
        metrics: of the evaluation, by name.
        arguments: it was trained with.
        usage: Python that runs the model.
        limits: what it cannot do.
    """

    name: str
    lead: str
    task: str | None = None
    base_model: str | None = None
    license: str | None = None
    language: str | None = None
    tags: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    dataset: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    usage: str = ""
    limits: str = ""

    def metadata(self) -> dict[str, Any]:
        """What the hub reads, without what is not known."""
        found = {
            "license": self.license,
            "language": self.language,
            "library_name": "headway",
            "pipeline_tag": self.task,
            "base_model": self.base_model,
            "tags": list(self.tags),
            "model-index": self._index(),
        }
        return {name: value for name, value in found.items() if value}

    def _index(self) -> list[dict[str, Any]]:
        if not (self.metrics and self.dataset and self.task):
            return []
        result = {
            "task": {"type": self.task},
            "dataset": {"name": self.dataset, "type": re.sub(r"[^\w-]+", "-", self.dataset)},
            "metrics": [{"type": name, "value": round(float(value), 6)} for name, value in self.metrics.items()],
        }
        return [{"name": self.name, "results": [result]}]

    def text(self) -> str:
        """The whole card."""
        import yaml

        head = yaml.safe_dump(self.metadata(), sort_keys=False, allow_unicode=True)
        parts = [f"---\n{head}---", f"# {self.name}", self.lead]
        parts += [f"## Use\n\n```python\n{self.usage.strip()}\n```"] if self.usage else []
        parts += _section("Data", self.data) + _section("Evaluation", self.metrics)
        parts += _section("Training", self.arguments)
        parts += [f"## Limits\n\n{self.limits}"] if self.limits else []
        return "\n\n".join(parts) + "\n"

    def save(self, folder: str | Path) -> Path:
        """Write ``README.md`` into ``folder``; raises ``CheckpointError`` where that cannot be."""
        path = Path(folder) / "README.md"
        try:
            write_file(path, self.text().encode())
        except OSError as error:
            raise CheckpointError(f"{path} cannot be written: {error.strerror or error}.") from error
        return path


def license_of(checkpoint: str) -> str | None:
    """The licence that the card of a local checkpoint names."""
    import yaml

    if not Path(checkpoint).is_dir():
        return None
    card = locate(checkpoint).find("README.md")
    head = re.match(r"---\n(.*?)\n---", card.read_text("utf-8", errors="replace"), re.DOTALL) if card else None
    try:
        found = yaml.safe_load(head[1]) if head else None
    except yaml.YAMLError:
        return None
    license = found.get("license") if isinstance(found, dict) else None
    return license if isinstance(license, str) else None


def _section(title: str, facts: Mapping[str, Any]) -> list[str]:
    rows = "\n".join(f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items())
    return [f"## {title}\n\n| | |\n|---|---|\n{rows}"] if rows else []


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return " ".join(text.replace("|", "\\|").split())
