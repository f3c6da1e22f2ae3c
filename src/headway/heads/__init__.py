"""Heads: what each reads of a backbone, what it makes of it, its loss and its output."""

from headway.heads.base import HEADS, Head, head_of
from headway.heads.contrast import Contrast
from headway.heads.image_classification import ImageClassification
from headway.heads.language_model import CausalLM, MaskedLM, Seq2SeqLM
from headway.heads.multiple_choice import MultipleChoice
from headway.heads.next_sentence import NextSentencePrediction
from headway.heads.pretraining import PreTraining
from headway.heads.projection import Projection
from headway.heads.question_answering import QuestionAnswering
from headway.heads.sequence_classification import SequenceClassification
from headway.heads.taught import TaughtImageClassification
from headway.heads.token_classification import TokenClassification

__all__ = [
    "HEADS",
    "CausalLM",
    "Contrast",
    "Head",
    "ImageClassification",
    "MaskedLM",
    "MultipleChoice",
    "NextSentencePrediction",
    "PreTraining",
    "Projection",
    "QuestionAnswering",
    "Seq2SeqLM",
    "SequenceClassification",
    "TaughtImageClassification",
    "TokenClassification",
    "head_of",
]
