"""Real weights: sentence-transformers/all-MiniLM-L6-v2, from the test-only package that carries them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from headway import AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

SENTENCES = [
    "A man is eating food.",
    "A man is eating a piece of bread.",
    "The girl is carrying a baby.",
    "A man is riding a horse on an enclosed ground, under a grey sky, in the rain, at the end of a long day.",
    "Deep learning 🤗",
]


def embed(model: Any, inputs: Any) -> torch.Tensor:
    with torch.no_grad():
        states = model(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1)
    return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)


@pytest.fixture(scope="module")
def model(minilm: Path) -> Any:
    return AutoModel.from_pretrained(minilm)


@pytest.fixture(scope="module")
def tokenizer(minilm: Path) -> Any:
    return AutoTokenizer.from_pretrained(minilm)


def test_the_load_is_clean(model: Any) -> None:
    report = model.load_report
    assert report.clean
    assert len(report.loaded) == len(model.state_dict()) == 103
    assert report.ignored == ("embeddings.position_ids",)
    assert model.num_parameters() == 22_713_216


def test_similarities_are_those_of_transformers(minilm: Path, model: Any, tokenizer: Any) -> None:
    import transformers

    theirs: Any = transformers.AutoModel.from_pretrained(minilm).eval()
    their_tokenizer = transformers.AutoTokenizer.from_pretrained(minilm)
    options = {"padding": True, "truncation": True, "return_tensors": "pt"}
    inputs, expected_inputs = tokenizer(SENTENCES, **options), their_tokenizer(SENTENCES, **options)
    assert list(inputs) == list(expected_inputs)
    for name, value in expected_inputs.items():
        assert torch.equal(inputs[name], value), name
    ours, expected = embed(model, inputs), embed(theirs, expected_inputs)
    assert float((ours @ ours.T - expected @ expected.T).abs().max()) < 1e-5
    assert float((ours - expected).abs().max()) < 1e-5
    similar = ours @ ours.T
    assert similar[0, 1] > 0.7 > similar[0, 2], "the weights mean something"


def test_a_row_is_the_same_alone_and_in_a_batch(model: Any, tokenizer: Any) -> None:
    together = embed(model, tokenizer(SENTENCES, padding=True, return_tensors="pt"))
    left = embed(model, tokenizer(SENTENCES, padding=True, padding_side="left", return_tensors="pt"))
    for row, sentence in enumerate(SENTENCES):
        alone = embed(model, tokenizer(sentence, return_tensors="pt"))[0]
        assert float((alone - together[row]).abs().max()) < 1e-5
        assert float((alone - left[row]).abs().max()) < 1e-5


def test_there_and_back(minilm: Path, model: Any, tmp_path: Path) -> None:
    import transformers

    model.save_pretrained(tmp_path)
    again = transformers.AutoModel.from_pretrained(tmp_path).eval()
    original = transformers.AutoModel.from_pretrained(minilm).state_dict()
    assert all(torch.equal(tensor, original[name]) for name, tensor in again.state_dict().items())


def test_heads_on_it(minilm: Path) -> None:
    classifier = AutoModelForSequenceClassification.from_pretrained(minilm, num_labels=3)
    assert set(classifier.load_report.new) == {"head.out.weight", "head.out.bias"}
    masked = AutoModelForMaskedLM.from_pretrained(minilm)
    assert all(name.startswith("head.") for name in masked.load_report.new)
    assert set(masked.load_report.left_over) == {"pooler.dense.weight", "pooler.dense.bias"}


@pytest.mark.long
def test_it_learns_topics(minilm: Path, tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "examples" / "finetune_minilm.py"
    command = [sys.executable, script, minilm, "--steps", "30", "--out", tmp_path / "topics"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = re.search(r"([\d.]+) before, ([\d.]+) after", done.stdout)
    assert found is not None, done.stdout
    before, after = map(float, found.groups())
    assert before < 0.4
    assert after > 0.9
    classifier = AutoModelForSequenceClassification.from_pretrained(tmp_path / "topics")
    assert classifier.config.id2label[3] == "music"
