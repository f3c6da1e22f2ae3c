"""Pipelines over sentences of skewed length: text classification and feature extraction.

    python benchmarks/pipelines.py [--quick] [ROW ...]

ROW is ``small`` (2,000 sentences in batches of 32 and a fifth of them one by one, four layers 128 wide) or ``base``
(256 sentences in batches of 32, BERT-base); both by default. Random weights: speed does not depend on them. headway is
called as users call it, with a list and nothing else said, the peer with its batch size. Answers are compared too.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from common import in_turn, machine, row
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

import headway

SMALL = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 512}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [f"w{number}" for number in range(30000)]


def sentences(count: int) -> list[str]:
    """Sentences of lognormal length: median about 24 tokens, at most 256."""
    generator, drawn = torch.Generator().manual_seed(0), random.Random(0)
    lengths = (torch.randn(count, generator=generator) * 0.9 + 3.2).exp().clamp(4, 256).long().tolist()
    return [" ".join(drawn.choices(WORDS, k=length - 2)) for length in lengths]


def checkpoint(folder: Path, **fields: int) -> None:
    """A BERT classifier of random weights with a tokenizer of whole words."""
    torch.manual_seed(0)
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *WORDS])}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer, backend.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.BertTokenizerFast(tokenizer_object=backend, model_max_length=512).save_pretrained(folder)
    config = transformers.BertConfig(vocab_size=len(vocabulary), **fields)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)


def compare(name: str, task: str, folder: Path, texts: list[str], size: int, rounds: int) -> None:
    """Print how long both take over ``texts``, the peer in batches of ``size``; 1 is one call a text in both."""
    ours: Any = headway.pipeline(task, str(folder), device="cpu")
    theirs: Any = transformers.pipeline(task, str(folder), device="cpu")
    extracts = {"return_tensors": True} if task == "feature-extraction" else {}
    one: Callable[[], Any]
    other: Callable[[], Any]
    if size == 1:
        one, other = (lambda run=run: [run(text, **extracts) for text in texts] for run in (ours, theirs))
    else:
        one = lambda: ours(texts, **extracts)  # noqa: E731
        other = lambda: theirs(texts, batch_size=size, **extracts)  # noqa: E731
    mine, yours = ours(texts[:4], **extracts), theirs(texts[:4], **extracts)
    worst = max(distance(*pair) for pair in zip(mine, yours, strict=True))
    row(f"{name}, {task}", *in_turn(one, other, rounds), 1, "s")
    print(f"  largest difference of the first answers: {worst:.1e}", flush=True)


def distance(mine: Any, yours: Any) -> float:
    """How far two answers are apart."""
    if isinstance(mine, dict):
        assert mine["label"] == yours["label"]
        return abs(mine["score"] - yours["score"])
    return float((mine - yours).abs().max())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", choices=["small", "base", []], default=["small", "base"])
    parser.add_argument("--quick", action="store_true", help="a tenth of the sentences")
    given = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print(machine())
    share = 10 if given.quick else 1
    with tempfile.TemporaryDirectory() as place:
        if "small" in given.rows:
            checkpoint(Path(place), **SMALL)
            texts = sentences(2000 // share)
            for size, some in ((32, texts), (1, texts[: len(texts) // 5])):
                for task in ("text-classification", "feature-extraction"):
                    name = f"{len(some)}, " + (f"by {size}" if size > 1 else "one by one")
                    compare(name, task, Path(place), some, size, 5)
        if "base" in given.rows:
            checkpoint(Path(place))
            texts = sentences(256 // share)
            compare(f"BERT-base, {len(texts)}, by 32", "text-classification", Path(place), texts, 32, 2)


if __name__ == "__main__":
    main()
