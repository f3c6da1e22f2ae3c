"""Data collators: from examples, as a data set gives them, to the tensors of one batch."""

from headway.training.collators.default import DefaultDataCollator, default_data_collator
from headway.training.collators.flattening import DataCollatorWithFlattening
from headway.training.collators.labels import DataCollatorForSeq2Seq, DataCollatorForTokenClassification
from headway.training.collators.language_model import DataCollatorForLanguageModeling, DataCollatorForWholeWordMask
from headway.training.collators.padding import DataCollatorForMultipleChoice, DataCollatorWithPadding

__all__ = [
    "DataCollatorForLanguageModeling",
    "DataCollatorForMultipleChoice",
    "DataCollatorForSeq2Seq",
    "DataCollatorForTokenClassification",
    "DataCollatorForWholeWordMask",
    "DataCollatorWithFlattening",
    "DataCollatorWithPadding",
    "DefaultDataCollator",
    "default_data_collator",
]
