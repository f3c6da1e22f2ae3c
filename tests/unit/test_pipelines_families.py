"""Every text family in every pipeline that it has a head for: texts short and long, alone and together."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from test_pipelines import assert_close
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import headway
from headway.pipelines.base import pipelines
from small import PAIRS, READERS, small_model

WORDS = ["the", "river", "is", "deep", "and", "cold", "but", "where", "does", "Anna", "live", "now", "in", "Rome"]
TEXTS = ["the river is deep", "Anna", " ".join(WORDS * 4), "where does Anna live now", " ".join(WORDS * 2)]
HEADS = {
    getattr(headway, kind.auto).task: task
    for task, kind in pipelines().items()
    if kind.told_by_head and kind.reads == "input_ids"
}
WRITING = {"max_new_tokens": 5, "num_beams": 2, "return_tensors": True}
OPTIONS: dict[str, dict[str, Any]] = {
    "text-generation": {**WRITING, "do_sample": False, "handle_long_generation": "hole"},
    "text2text-generation": {**WRITING, "truncation": True},
}
CASES = [(family, head) for family, head in PAIRS if head in HEADS and family in READERS]


@cache
def tokenizer() -> Any:
    """Whole words as tokens, between a first and a last one; without a pad token."""
    tokens = ["<unk>", "<one>", "</s>", "<s>", "<mask>", *WORDS]
    backend = Tokenizer(models.WordLevel({token: id for id, token in enumerate(tokens)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(["</s>", "<s>", "<mask>"])
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A $B </s>", special_tokens=[("<s>", 3), ("</s>", 2)]
    )
    return headway.Tokenizer(tokenizer_object=backend, unk_token="<unk>", mask_token="<mask>", eos_token="</s>")


@pytest.mark.parametrize(("family", "head"), CASES, ids=map("-".join, CASES))
def test_a_family_in_a_pipeline(family: str, head: str) -> None:
    task = HEADS[head]
    labels = {"id2label": {0: "O", 1: "B-X", 2: "I-X"}} if head.endswith("-classification") else {}
    run = headway.pipeline(task, small_model(family, head, **labels), tokenizer=tokenizer(), **OPTIONS.get(task, {}))
    inputs: list[Any] = TEXTS
    if task == "multiple-choice":
        inputs = [{"text": text, "choices": ["in Rome", "the river is deep and cold"]} for text in TEXTS]
    if task == "next-sentence-prediction":
        inputs = [{"text": text, "text_pair": "in Rome"} for text in TEXTS]
    if task == "fill-mask":
        inputs = [f"{text} <mask>" for text in TEXTS]
    if task == "question-answering":
        inputs = [{"question": "where does Anna live", "context": text} for text in TEXTS]
    together = run(inputs)
    assert len(together) == len(TEXTS)
    for item, answer in zip(inputs, together, strict=True):
        assert_close(run([item])[0], answer, 1e-4)
