"""Labels of the caller's own choice, which a model never saw, as sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headway.errors import InputError
from headway.pipelines.base import Pipeline
from headway.pipelines.options import Options, option


@dataclass(frozen=True, kw_only=True)
class CandidateOptions(Options):
    """The labels, and how they are asked for."""

    candidate_labels: str | Sequence[str] | None = option(None, "labels that come into question, with commas", list)
    hypothesis_template: str = option("This example is {}.", "a sentence with {} where a label goes", str)

    @property
    def labels(self) -> list[str]:
        """The labels, of a list or of a text with commas; raises ``InputError`` where there is none."""
        given = self.candidate_labels
        labels = [label.strip() for label in given.split(",")] if isinstance(given, str) else list(given or ())
        labels = [label for label in labels if label]
        if not labels:
            raise InputError("This task needs candidate_labels, a list or a text with commas.")
        return labels

    @property
    def hypotheses(self) -> list[str]:
        """The sentences of all labels; raises ``InputError`` where the template has no place for one."""
        template = self.hypothesis_template
        if "{}" not in template:
            raise InputError(f"hypothesis_template={template!r} has no {{}}, where a label is to go.")
        return [template.format(label) for label in self.labels]


class CandidatePipeline(Pipeline):
    """A pipeline that judges labels of the caller's."""

    def __call__(self, inputs: Any, candidate_labels: str | Sequence[str] | None = None, **options: Any) -> Any:
        """Judge labels.

        Args:
            inputs: one input, a list of them, or any other iterable.
            candidate_labels: the labels, in place of the pipeline's own.
            **options: in place of the pipeline's own.
        """
        said = {} if candidate_labels is None else {"candidate_labels": candidate_labels}
        return super().__call__(inputs, **said, **options)
