"""Metrics that keep counts: ``add(predictions, references)`` for each batch, ``value()`` at the end.

What they keep does not grow with the number of examples (but for ``Spearman``), so evaluation holds no logits.
"""

from headway.training.metrics.base import Joint, Metric
from headway.training.metrics.classification import (
    F1,
    Accuracy,
    MatthewsCorrelation,
    MultiLabelF1,
    accuracy,
    f1,
    matthews,
)
from headway.training.metrics.correlation import Pearson, Spearman, pearson, spearman
from headway.training.metrics.entities import EntityF1, entities
from headway.training.metrics.perplexity import Perplexity
from headway.training.metrics.question_answering import Squad, exact_match, normalised, token_f1
from headway.training.metrics.rouge import Rouge, rouge
from headway.training.metrics.word_errors import WordErrorRate, edit_distance

__all__ = [
    "F1",
    "Accuracy",
    "EntityF1",
    "Joint",
    "MatthewsCorrelation",
    "Metric",
    "MultiLabelF1",
    "Pearson",
    "Perplexity",
    "Rouge",
    "Spearman",
    "Squad",
    "WordErrorRate",
    "accuracy",
    "edit_distance",
    "entities",
    "exact_match",
    "f1",
    "matthews",
    "normalised",
    "pearson",
    "rouge",
    "spearman",
    "token_f1",
]
