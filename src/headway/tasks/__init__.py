"""Heads without their networks: what each is for, what it reads, and what checkpoints call it. No torch is needed."""

from headway.tasks.base import TASKS, TEXT, Recipes, Task, width_read
from headway.tasks.images import Contrast, ImageClassification, Projection, TaughtImageClassification
from headway.tasks.labels import (
    MultipleChoice,
    NextSentencePrediction,
    QuestionAnswering,
    SequenceClassification,
    TokenClassification,
)
from headway.tasks.language import CausalLM, MaskedLM, PreTraining, Seq2SeqLM, vocabulary_of

__all__ = [
    "TASKS",
    "TEXT",
    "CausalLM",
    "Contrast",
    "ImageClassification",
    "MaskedLM",
    "MultipleChoice",
    "NextSentencePrediction",
    "PreTraining",
    "Projection",
    "QuestionAnswering",
    "Recipes",
    "Seq2SeqLM",
    "SequenceClassification",
    "Task",
    "TaughtImageClassification",
    "TokenClassification",
    "vocabulary_of",
    "width_read",
]
