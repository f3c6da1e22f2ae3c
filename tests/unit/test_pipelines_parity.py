"""The same checkpoints in the oracle's pipelines and in ours: the same scores and the same spans."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
import torch
import transformers

from headway import pipeline
from headway.embedded import folder

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

TEXTS = [
    "My name is Wolfgang and I live in Berlin",
    "Hugging Face is based in New York City!",
    "The capital of France, as we know, is Paris.",
    "I love it.",
    "O'Neill didn't like U.S. trains, e.g. the 9:15 one (too slow).",
    "Größe",
]
LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
KINDS = {
    "text-classification": (transformers.BertForSequenceClassification, ["SAD", "SO-SO", "GLAD"]),
    "token-classification": (transformers.BertForTokenClassification, LABELS),
    "fill-mask": (transformers.BertForMaskedLM, ["A", "B"]),
    "feature-extraction": (transformers.BertModel, ["A", "B"]),
}


@cache
def checkpoint(task: str, **fields: Any) -> Path:
    """A checkpoint of random weights, saved by the oracle, with a tokenizer that comes with headway."""
    kind, labels = KINDS[task]
    source = folder("token-classification")
    assert source is not None
    out = Path(mkdtemp(prefix="headway-"))
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(source / name, out)
    config = transformers.BertConfig(
        vocab_size=1200,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
        **fields,
    )
    torch.manual_seed(1)
    model = kind(config)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_((tensor.dim() == 1) + 0.4 * torch.randn(tensor.shape))
    model.save_pretrained(out)
    return out


def both(task: str, options: dict[str, Any] | None = None, **fields: Any) -> tuple[Any, Any]:
    """The pipeline of headway and the oracle's."""
    place, options = checkpoint(task, **fields), options or {}
    return pipeline(task, str(place), **options), transformers.pipeline(task, str(place), device="cpu", **options)


def assert_same(ours: Any, theirs: Any, but: tuple[str, ...] = ()) -> None:
    """The same structure with the same numbers; keys in ``but`` are not compared."""
    if isinstance(ours, float):
        # Plain numbers here, so that answers are JSON; theirs are NumPy's now and then.
        assert ours == pytest.approx(float(theirs), abs=1e-4)
        return
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for name in ours.keys() - set(but):
            assert_same(ours[name], theirs[name])
    elif isinstance(ours, list):
        assert len(ours) == len(theirs)
        for mine, yours in zip(ours, theirs, strict=True):
            assert_same(mine, yours, but)
    else:
        assert ours == theirs


@pytest.mark.parametrize("call", [{}, {"top_k": None}, {"top_k": 2}, {"function_to_apply": "sigmoid"}])
def test_text_classification(call: dict[str, Any]) -> None:
    ours, theirs = both("text-classification")
    assert_same(ours(TEXTS, **call), theirs(TEXTS, **call))
    assert_same(ours(TEXTS[0], **call), theirs(TEXTS[0], **call))
    pair = {"text": TEXTS[0], "text_pair": TEXTS[1]}
    assert_same(ours([pair, pair], **call), theirs([pair, pair], **call))


def test_text_classification_made_with_top_k() -> None:
    ours, theirs = both("text-classification", {"top_k": None})
    assert_same(ours(TEXTS[0]), theirs(TEXTS[0]))
    assert_same(ours(TEXTS), theirs(TEXTS))


@pytest.mark.parametrize("problem", ["multi_label_classification", "single_label_classification", "regression"])
def test_text_classification_by_problem_type(problem: str) -> None:
    ours, theirs = both("text-classification", problem_type=problem)
    assert_same(ours(TEXTS, top_k=None), theirs(TEXTS, top_k=None))


def test_text_classification_of_one_label_and_of_cut_texts() -> None:
    KINDS["text-scores"] = (transformers.BertForSequenceClassification, ["SCORE"])
    place = str(checkpoint("text-scores"))
    ours = pipeline("text-classification", place)
    theirs = transformers.pipeline("text-classification", place, device="cpu")
    assert_same(ours(TEXTS), theirs(TEXTS))
    ours, theirs = both("text-classification")
    cut = {"truncation": True, "max_length": 6}
    assert_same(ours(TEXTS, **cut), theirs(TEXTS, **cut))
    assert_same(ours(TEXTS, batch_size=2, top_k=None), theirs(TEXTS, batch_size=2, top_k=None))


def test_all_scores_by_their_older_name() -> None:
    place = str(checkpoint("text-classification"))
    run = pipeline("text-classification", place, return_all_scores=True)
    plain = pipeline("text-classification", place)
    assert run(TEXTS[0]) == [plain(TEXTS[0], top_k=None)]
    assert run(TEXTS) == plain(TEXTS, top_k=None)
    assert run(TEXTS, return_all_scores=False) == plain(TEXTS)
    assert plain(TEXTS[0], return_all_scores=True) == run(TEXTS[0])


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_token_classification_of_words(strategy: str) -> None:
    ours, theirs = both("token-classification", {"aggregation_strategy": strategy})
    options = {"is_split_into_words": True, "delimiter": "  "}
    # A word with a mark is one word here, as it was given; the oracle takes the mark for another.
    for text in TEXTS if strategy in ("none", "simple") else (TEXTS[0], TEXTS[5]):
        words = text.split()
        (mine,), (yours,) = ours([words], **options), theirs([words], **options)
        assert_same(mine, yours, but=() if strategy == "none" else ("word",))


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_token_classification(strategy: str) -> None:
    ours, theirs = both("token-classification", {"aggregation_strategy": strategy})
    for text in TEXTS:
        mine, yours = ours(text), theirs(text)
        assert mine
        # Our word is the text's own; theirs is put together of tokens.
        assert_same(mine, yours, but=() if strategy == "none" else ("word",))
        assert all(text[entity["start"] : entity["end"]] == entity["word"] for entity in mine if strategy != "none")
    assert_same(ours(TEXTS, ignore_labels=[]), theirs(TEXTS, ignore_labels=[]), but=("word",))


@pytest.mark.parametrize("options", [{}, {"top_k": 3}, {"targets": ["Paris", "Berlin", "is"]}])
def test_fill_mask(options: dict[str, Any]) -> None:
    ours, theirs = both("fill-mask")
    texts = ["The capital of France is [MASK].", "I [MASK] it", "[MASK] live in Berlin"]
    assert_same(ours(texts[0], **options), theirs(texts[0], **options))
    assert_same(ours(texts, **options), theirs(texts, **options))
    several = "[MASK] live in [MASK]"
    assert_same(ours(several, **options), theirs(several, **options), but=("sequence",))


def test_feature_extraction() -> None:
    ours, theirs = both("feature-extraction")
    assert_same(ours(TEXTS[0]), theirs(TEXTS[0]))
    assert_same(ours(TEXTS), theirs(TEXTS))
    for cut in ({"truncation": True, "max_length": 5}, {"tokenize_kwargs": {"truncation": True, "max_length": 5}}):
        (mine,) = ours([TEXTS[0]], tokenize_kwargs={"truncation": True, "max_length": 5})
        assert_same(mine, theirs([TEXTS[0]], **({"tokenize_kwargs": cut} if "truncation" in cut else cut))[0])
        assert_same(ours(TEXTS[0], **cut), mine)
    tensor = ours(TEXTS[0], return_tensors=True)
    assert torch.allclose(tensor, theirs(TEXTS[0], return_tensors=True), atol=1e-4)
