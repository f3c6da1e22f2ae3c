"""Names of the field that stand for something of another name here."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

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
from small import small_checkpoint, small_config

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
        assert kind_of(stem) or stem in GENERIC
    else:
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


def tagger(library: Any) -> Any:
    """A class as people write it over either library."""

    class Tagger(library.BertPreTrainedModel):  # type: ignore[misc, name-defined]
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.num_labels = config.num_labels
            self.bert = library.BertModel(config, add_pooling_layer=False)
            self.dropout = torch.nn.Dropout(config.hidden_dropout_prob)
            self.tags = torch.nn.Linear(config.hidden_size, config.num_labels)
            self.post_init()

        def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
            states = self.bert(input_ids, attention_mask=attention_mask)[0]
            return self.tags(self.dropout(states))

    return Tagger


def test_a_class_of_ones_own_over_a_family(tmp_path: Path) -> None:
    small_checkpoint(tmp_path / "bert", "bert", "masked-lm")
    ids = torch.tensor([[5, 6, 7, 8]])
    ours, theirs = (
        tagger(library).from_pretrained(tmp_path / "bert", num_labels=4) for library in (headway, transformers)
    )
    assert ours.load_report.new == ("tags.weight", "tags.bias")
    assert ours.tags.bias.eq(0).all()
    assert ours.tags.weight.std() < 0.1
    with torch.no_grad():
        ours.tags.weight.copy_(theirs.tags.weight)
    torch.testing.assert_close(ours(ids), theirs(ids), atol=1e-5, rtol=1e-5)
    ours.save_pretrained(tmp_path / "tagger")
    again = tagger(transformers).from_pretrained(tmp_path / "tagger")
    torch.testing.assert_close(again(ids), theirs(ids), atol=1e-5, rtol=1e-5)


def test_weights_drawn_as_a_class_says() -> None:
    class Mine(headway.PreTrainedModel):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.inner = headway.AutoModel.from_config(config)
            self.before = {name: value.clone() for name, value in self.inner.state_dict().items()}
            self.out = torch.nn.Linear(4, 4)
            self.init_weights()

        def _init_weights(self, module: torch.nn.Module) -> None:
            if isinstance(module, torch.nn.Linear):
                module.weight.data.fill_(7.0)

    model = Mine(small_config("bert"))
    assert model.out.weight.eq(7).all()
    assert all(torch.equal(value, model.before[name]) for name, value in model.inner.state_dict().items())
