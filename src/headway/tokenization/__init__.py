"""Tokenizers: one class over the ``tokenizers`` library, readers of the files it comes in, and chat templates."""

from headway.tokenization.encoding import BatchEncoding
from headway.tokenization.tokenizer import PreTrainedTokenizerBase, Tokenizer

__all__ = ["BatchEncoding", "PreTrainedTokenizerBase", "Tokenizer"]
