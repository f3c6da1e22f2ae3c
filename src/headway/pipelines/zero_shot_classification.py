"""Zero-shot classification: labels that the model never saw, each as a hypothesis that the text may entail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headway.errors import InputError
from headway.pipelines.candidates import CandidateOptions, CandidatePipeline
from headway.pipelines.groups import GroupPipeline
from headway.pipelines.options import option
from headway.pipelines.scores import softmax
from headway.pipelines.text import TextOptions, shown
from headway.pipelines.windows import Array


@dataclass(frozen=True, kw_only=True)
class ZeroShotClassificationOptions(CandidateOptions, TextOptions):
    """Whether labels exclude each other."""

    multi_label: bool = option(False, "several labels may be true, so each is judged by itself", bool)


class ZeroShotClassificationPipeline(CandidatePipeline, GroupPipeline):
    """Labels of one's own, judged by a model of entailment (Yin et al. 2019, arXiv:1909.00161).

    The answer is ``{"sequence", "labels", "scores"}``, the labels best first. Scores are shares among the labels, or
    with ``multi_label`` each one's entailment against its contradiction. Labels are a list, or a text with commas.
    """

    task = "zero-shot-classification"
    auto = "AutoModelForSequenceClassification"
    summary = "the labels of one's own choice that a text bears"
    Options = ZeroShotClassificationOptions
    told_by_head = False

    def group(self, item: Any, options: Any) -> list[tuple[str, str]]:
        if not isinstance(item, str):
            raise InputError(f"{self.task} takes a text, not {shown(item)}.")
        return [(item, hypothesis) for hypothesis in options.hypotheses]

    def decide(self, item: Any, logits: Sequence[Array], options: Any) -> dict[str, Any]:
        entails, contradicts = self._entailment()
        rows, labels = np.stack(logits), options.labels
        if options.multi_label or len(labels) == 1:
            scores = softmax(rows[:, [contradicts, entails]])[:, 1]
        else:
            scores = softmax(rows[:, entails])
        order = np.argsort(-scores, kind="stable")
        return {"sequence": item, "labels": [labels[at] for at in order], "scores": scores[order].tolist()}

    def table(self, answer: Any) -> list[dict[str, Any]]:
        return [
            {"label": label, "score": score} for label, score in zip(answer["labels"], answer["scores"], strict=True)
        ]

    def _entailment(self) -> tuple[int, int]:
        """The numbers of the labels that say that a hypothesis follows, and that it does not."""
        config = self.model.config
        names = [config.label(number).lower() for number in range(config.num_labels)]
        entails = next((number for number, name in enumerate(names) if name.startswith("entail")), None)
        if entails is None or len(names) < 2:
            raise InputError(
                f"None of this model's labels begins with 'entail' ({', '.join(names)}): choose a model of entailment "
                "(NLI), or name its labels in config.id2label."
            )
        others = [number for number in range(len(names)) if number != entails]
        named = [number for number in others if names[number].startswith(("contra", "not"))]
        # Where none says so by its name, it is the first or the last, as the field has it.
        return entails, named[0] if named else others[-1] if entails == 0 else others[0]
