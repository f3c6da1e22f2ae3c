"""Heads that give labels to texts and their tokens."""

from __future__ import annotations

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.tasks.base import TEXT, Recipes, Task, head_dropout, summary, summary_names


class SequenceClassification(Task):
    """A label, a score or several labels for a whole row."""

    task = "sequence-classification"
    suffix = "ForSequenceClassification"
    kinds = TEXT

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        return summary(backbone, config, bias=False)

    @classmethod
    def names(cls, recipe: spec.Predict) -> dict[str, str]:
        return summary_names(recipe, "classification_head" if isinstance(recipe.read, spec.LastEos) else "classifier")


class TokenClassification(Task):
    """A label for every token."""

    task = "token-classification"
    suffix = "ForTokenClassification"
    kinds = TEXT

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        read = spec.EncoderTokens() if isinstance(backbone, spec.EncoderDecoder) else spec.EveryToken()
        return spec.Predict(read, dropout=head_dropout(config))

    @classmethod
    def names(cls, recipe: spec.Predict) -> dict[str, str]:
        return {"out": "classifier"}


class QuestionAnswering(Task):
    """Where in a text the answer starts and ends."""

    task = "question-answering"
    suffix = "ForQuestionAnswering"
    kinds = TEXT
    targets = ("start_positions", "end_positions")
    num_labels = 2

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        return spec.Predict(spec.EveryToken(), dropout=float(getattr(config, "qa_dropout", 0.0)))

    @classmethod
    def names(cls, recipe: spec.Predict) -> dict[str, str]:
        return {"out": "qa_outputs"}


class MultipleChoice(Task):
    """Which of several continuations fits."""

    task = "multiple-choice"
    suffix = "ForMultipleChoice"
    kinds = TEXT
    like = "sequence-classification"
    num_labels = 1

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        if isinstance(backbone, spec.Encoder) and backbone.pooler is None and cls.like in own:
            return own[cls.like]
        return summary(backbone, config, bias=False)

    @classmethod
    def names(cls, recipe: spec.Predict) -> dict[str, str]:
        return summary_names(recipe, "classifier")


class NextSentencePrediction(Task):
    """Does the second sentence follow the first? (Devlin et al. 2018, arXiv:1810.04805)"""

    task = "next-sentence-prediction"
    suffix = "ForNextSentencePrediction"
    kinds = (spec.Encoder,)
    num_labels = 2

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        return summary(backbone, config)

    @classmethod
    def names(cls, recipe: spec.Predict) -> dict[str, str]:
        rows = {"out": "cls.seq_relationship"}
        return rows if recipe.dense is None else {**rows, "hidden.dense": "cls.dense"}
