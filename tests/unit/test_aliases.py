"""Names of the field that stand for something of another name here."""

from __future__ import annotations

import logging
import os
from pathlib import Path

# Before transformers, which looks it up once.
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
import torch
import transformers
from test_pipelines_images import images, towers, vit

import headway
from headway.aliases import ALIASES
from headway.auto.processor import Processor
from headway.embedded import folder
from headway.tokenization.kinds import GENERIC, kind_of

# Gone from transformers 5.
REMOVED = {
    "ImageFeatureExtractionPipeline",
    "QuestionAnsweringPipeline",
    "SummarizationPipeline",
    "Text2TextGenerationPipeline",
    "TranslationPipeline",
}


@pytest.mark.parametrize("name", ALIASES)
def test_each_stands_for_something(name: str) -> None:
    assert getattr(headway, name).__name__ == ALIASES[name][1]
    stem = name.removesuffix("Fast")
    if stem.endswith("Tokenizer"):
        assert kind_of(stem) or stem in GENERIC or stem == "BloomTokenizer"
    elif not stem.startswith("PreTrained"):
        assert hasattr(transformers, stem) or stem in REMOVED


def test_tokenizers_by_the_names_of_their_families() -> None:
    place = folder("text-classification")
    tokenizer = headway.BertTokenizerFast.from_pretrained(place)
    assert isinstance(tokenizer, headway.PreTrainedTokenizerBase)
    assert tokenizer("a film").input_ids == transformers.AutoTokenizer.from_pretrained(place)("a film").input_ids
    with pytest.raises(AttributeError, match="Did you mean 'BertTokenizer'"):
        headway.BertTokeniser  # noqa: B018


@pytest.mark.parametrize("kind", ["CLIP", "Siglip"])
def test_processors_of_texts_and_images(kind: str, tmp_path: Path) -> None:
    theirs = transformers.AutoProcessor.from_pretrained(towers(kind))
    ours = getattr(headway, f"{kind}Processor").from_pretrained(towers(kind))
    given = {"text": ["a cat", "a dog in the grass"], "images": list(images()[:3])}
    options = {"padding": True, "return_tensors": "pt"}
    wanted, found = theirs(**given, **options), ours(**given, **options)
    assert list(found) == list(wanted)
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], atol=1e-5, rtol=1e-5)
    assert list(ours(images()[0])) == ["pixel_values"]
    assert ours(text="a cat")["input_ids"] == theirs.tokenizer("a cat")["input_ids"]
    assert ours.batch_decode(found["input_ids"]) == theirs.batch_decode(wanted["input_ids"])
    plain = ours(images()[0], do_normalize=False).pixel_values
    assert plain.min() >= 0
    ours.save_pretrained(tmp_path)
    again = headway.AutoProcessor.from_pretrained(tmp_path)
    assert isinstance(again, Processor)
    torch.testing.assert_close(again(**given, **options)["pixel_values"], found["pixel_values"], atol=0, rtol=0)
    with pytest.raises(headway.InputError, match="nothing to process"):
        ours()
    with pytest.raises(headway.InputError, match="Did you mean 'padding'"):
        ours(text="a", paddin=True)


def test_a_processor_of_what_there_is() -> None:
    assert isinstance(headway.AutoProcessor.from_pretrained(vit()), headway.ImageProcessor)
    assert isinstance(headway.AutoProcessor.from_pretrained(folder("fill-mask")), headway.Tokenizer)
    with pytest.raises(headway.CheckpointError):
        headway.AutoProcessor.from_pretrained("no/such-folder")


def test_pipelines_by_their_classes() -> None:
    place = folder("text-classification")
    model = headway.AutoModelForSequenceClassification.from_pretrained(place)
    tokenizer = headway.AutoTokenizer.from_pretrained(place)
    run = headway.TextClassificationPipeline(model=model, tokenizer=tokenizer, device="cpu", top_k=None)
    assert run("I love it!") == headway.pipeline("text-classification", str(place), top_k=None)("I love it!")
    with pytest.raises(headway.InputError, match="is no device"):
        headway.TextClassificationPipeline(model, tokenizer, device="gpu")


def test_the_module_of_the_log() -> None:
    before = headway.logging.get_verbosity()
    try:
        headway.logging.set_verbosity_error()
        assert headway.get_verbosity() == logging.ERROR
    finally:
        headway.logging.set_verbosity(before)
    assert headway.logging.get_logger("mine") is logging.getLogger("mine")
    assert headway.logging.get_logger() is logging.getLogger("headway")


def test_criteria() -> None:
    ids = torch.tensor([[5, 6, 2], [5, 2, 6]])
    assert headway.EosTokenCriteria(2)(ids, None).tolist() == [True, False]
    assert headway.EosTokenCriteria([2, 6])(ids, None).tolist() == [True, True]
    assert headway.MaxLengthCriteria(3)(ids, None)
    assert not headway.MaxLengthCriteria(4)(ids, None)
    model = headway.AutoModelForCausalLM.from_pretrained(folder("text-generation"))
    criteria = headway.StoppingCriteriaList([headway.MaxLengthCriteria(max_length=6)])
    assert model.generate(ids, max_new_tokens=20, min_new_tokens=10, stopping_criteria=criteria).shape == (2, 6)
