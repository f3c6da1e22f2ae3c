"""Pipelines that compare texts: zero-shot-classification as the oracle has it, the others by what they promise."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pytest
import transformers
from test_pipelines import assert_close
from test_pipelines_parity import KINDS, TEXTS, assert_same, both

import headway
from headway import ConfigError, InputError, WeightsError, pipeline
from headway.embedded import folder
from headway.pipelines.feature_extraction import POOLINGS, pool
from small import one_sentence, small_model

CANDIDATES = ["politics", "foreign lands", "sport"]
SHORT = [TEXTS[0], TEXTS[3], TEXTS[5]]


@pytest.fixture(autouse=True)
def _entailment(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = ["contradiction", "neutral", "entailment"]
    monkeypatch.setitem(KINDS, "zero-shot-classification", (transformers.BertForSequenceClassification, labels))


def embedded() -> tuple[Any, Path]:
    """The tokenizer of a small model that comes with headway, and its folder."""
    place = folder("feature-extraction")
    assert place is not None
    return headway.AutoTokenizer.from_pretrained(place), place


def small(task: str, head: str, **options: Any) -> Any:
    model = small_model("bert", head, vocab_size=1200, max_position_embeddings=64)
    return pipeline(task, model, tokenizer=embedded()[0], **options)


# --- zero-shot classification -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"multi_label": True}, {"hypothesis_template": "It is about {}, I say."}],
)
@pytest.mark.parametrize("labels", [CANDIDATES, "politics, sport ,", ["sport"], "sport"])
def test_zero_shot_classification(options: dict[str, Any], labels: Any) -> None:
    ours, theirs = both("zero-shot-classification")
    for text in TEXTS:
        assert_same(ours(text, labels, **options), theirs(text, labels, **options))
    assert_same(ours(TEXTS, candidate_labels=labels, **options), theirs(TEXTS, candidate_labels=labels, **options))
    stream = ours(iter(TEXTS), labels, **options)
    assert isinstance(stream, Iterator)
    assert_close(list(stream), ours(TEXTS, labels, **options))


def test_zero_shot_labels_of_the_pipeline_and_a_long_text() -> None:
    ours, _ = both("zero-shot-classification", {})
    made = pipeline("zero-shot-classification", ours.model, tokenizer=ours.tokenizer, candidate_labels=CANDIDATES)
    assert made(TEXTS[0]) == ours(TEXTS[0], CANDIDATES)
    long = "I live in Berlin. " * 60
    read, cut = made(long), made(long, truncation=True)
    assert read["sequence"] == long
    assert sorted(read["labels"]) == sorted(CANDIDATES)
    assert read["scores"] != cut["scores"]
    assert_close(made([TEXTS[1], long])[1], read)


def test_what_zero_shot_classification_refuses() -> None:
    ours, _ = both("zero-shot-classification")
    for call in (lambda: ours("x"), lambda: ours("x", []), lambda: ours("x", " , ")):
        with pytest.raises(InputError, match="needs candidate_labels"):
            call()
    with pytest.raises(InputError, match=r"has no \{\}"):
        ours("x", ["a"], hypothesis_template="This is it.")
    with pytest.raises(InputError, match="takes a text"):
        ours([3], ["a"])
    sentiment = pipeline("zero-shot-classification", str(folder("text-classification")))
    with pytest.raises(InputError, match="begins with 'entail'") as caught:
        sentiment("x", ["a"])
    one_sentence(caught.value)


@pytest.mark.parametrize(
    ("labels", "want"),
    [
        (["contradiction", "neutral", "entailment"], (2, 0)),
        (["ENTAILMENT", "NEUTRAL", "CONTRADICTION"], (0, 2)),
        (["contradiction", "entailment", "neutral"], (1, 0)),
        (["neutral", "entailment", "contradiction"], (1, 2)),
        (["entailment", "not_entailment"], (0, 1)),
        (["LABEL_0", "entailment"], (1, 0)),
    ],
)
def test_the_label_of_entailment_is_found(labels: list[str], want: tuple[int, int]) -> None:
    model = small_model("bert", "sequence-classification", id2label=dict(enumerate(labels)))
    assert pipeline("zero-shot-classification", model, tokenizer=embedded()[0])._entailment() == want


# --- sentence similarity ------------------------------------------------------------------------------------------


def cosine(one: Any, other: Any) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_similarities_are_cosines(pooling: str) -> None:
    _, place = embedded()
    run = pipeline("sentence-similarity", str(place), pooling=pooling)
    states = pipeline("feature-extraction", str(place))
    vectors = [pool(np.array(states(text)[0]), pooling) for text in TEXTS]
    want = [cosine(vectors[0], vector) for vector in vectors[1:]]
    item = {"source_sentence": TEXTS[0], "sentences": TEXTS[1:]}
    assert run(item) == pytest.approx(want, abs=1e-5)
    assert_close(run([item, {"source_sentence": TEXTS[1], "sentences": TEXTS[0]}]), [run(item), [want[0]]])
    assert run({"source_sentence": TEXTS[0], "sentences": TEXTS[0]}) == pytest.approx([1])
    assert run({"source_sentence": TEXTS[0], "sentences": []}) == []


def test_ways_to_pool() -> None:
    states = np.array([[1.0, 4.0], [3.0, 2.0], [5.0, 0.0]])
    want = {
        "cls": [1, 4],
        "lasttoken": [5, 0],
        "mean": [3, 2],
        "max": [5, 4],
        "mean_sqrt_len_tokens": [9 / 3**0.5, 6 / 3**0.5],
        "weightedmean": [22 / 6, 8 / 6],
    }
    assert {how: pool(states, how).tolist() for how in POOLINGS} == {k: pytest.approx(v) for k, v in want.items()}


MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]


def sentence_folder(tmp_path: Path, pooling: dict[str, Any], modules: Any = MODULES) -> str:
    shutil.copytree(embedded()[1], tmp_path / "model")
    place = tmp_path / "model"
    (place / "modules.json").write_text(json.dumps(modules))
    (place / "1_Pooling").mkdir()
    (place / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 64, **pooling}))
    (place / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 32, "do_lower_case": False}))
    return str(place)


@pytest.mark.parametrize(
    ("said", "want"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, "mean_sqrt_len_tokens"),
        ({"pooling_mode_weightedmean_tokens": True}, "weightedmean"),
        ({"pooling_mode_lasttoken": True, "include_prompt": True}, "lasttoken"),
        ({"pooling_mode": "cls"}, "cls"),
    ],
)
def test_a_sentence_transformers_folder_says_how(tmp_path: Path, said: dict[str, Any], want: str) -> None:
    run = pipeline("sentence-similarity", sentence_folder(tmp_path, said))
    assert run.options.pooling == want
    assert run.options.max_length == 32
    assert pipeline("sentence-similarity", run.model, pooling="max").options.pooling == "max"


def test_folders_that_are_made_otherwise(tmp_path: Path) -> None:
    dense = [*MODULES, {"idx": 3, "path": "2_Dense", "type": "sentence_transformers.models.Dense"}]
    for name, pooling, modules, error in (
        ("a", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, MODULES, "cls and mean"),
        ("b", {}, MODULES, "not said"),
        ("c", {"pooling_mode": "mean"}, dense, "with Dense too"),
    ):
        (tmp_path / name).mkdir()
        with pytest.raises(InputError, match=error) as caught:
            pipeline("sentence-similarity", sentence_folder(tmp_path / name, pooling, modules))
        one_sentence(caught.value)
    (tmp_path / "d").mkdir()
    with pytest.raises(ConfigError, match=r"modules\.json"):
        pipeline("sentence-similarity", sentence_folder(tmp_path / "d", {}, {"x": 1}))


def test_similar_texts_are_refused_in_other_forms() -> None:
    run = pipeline("sentence-similarity", str(embedded()[1]))
    for item in ({"source_sentence": "x"}, {"source_sentence": "x", "sentences": [3]}, ["a"]):
        with pytest.raises(InputError, match="takes a dictionary"):
            run(item)


# --- multiple choice ----------------------------------------------------------------------------------------------


def test_multiple_choice() -> None:
    run = small("multiple-choice", "multiple-choice")
    items = [
        {"text": TEXTS[0], "choices": TEXTS[1:4]},
        {"text": TEXTS[1], "choices": ["no", "yes, I do"]},
    ]
    together = run(items)
    for item, answer in zip(items, together, strict=True):
        count = len(item["choices"])
        given = run.tokenizer([item["text"]] * count, item["choices"], padding=True, return_tensors="pt")
        logits = run.model(**{name: values[None] for name, values in given.items()}).logits[0]
        scores = logits.softmax(-1).tolist()
        order = sorted(range(count), key=lambda at: -scores[at])
        want = [{"choice": item["choices"][at], "index": at, "score": scores[at]} for at in order]
        assert_close(answer, want)
        assert_close(run(item), want)
    assert_close(run(items[0]["text"], choices=items[0]["choices"]), together[0])
    with pytest.raises(InputError, match="needs choices"):
        run("x")
    with pytest.raises(InputError, match="a dictionary with 'text' and 'choices'"):
        run([{"prompt": "x"}])


# --- next sentence ------------------------------------------------------------------------------------------------


def test_next_sentence_prediction() -> None:
    run = small("next-sentence-prediction", "next-sentence-prediction")
    items = [{"text": one, "text_pair": other} for one in SHORT for other in SHORT]
    answers = run(items)
    for item, answer in zip(items, answers, strict=True):
        given = run.tokenizer(item["text"], item["text_pair"], return_tensors="pt")
        scores = run.model(**given).logits[0].softmax(-1).tolist()
        best = scores.index(max(scores))
        assert_close(answer, {"label": ["IsNext", "NotNext"][best], "score": scores[best]})
    assert len(run([{"text": "deep " * 200, "text_pair": "and cold"}])) == 1
    with pytest.raises(InputError, match="'text' and 'text_pair'"):
        run("x")


# --- all of them --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["zero-shot-classification", "multiple-choice", "next-sentence-prediction"])
def test_without_a_trained_head(task: str) -> None:
    with pytest.raises(WeightsError, match=f"no trained head for {task}"):
        pipeline(task, str(folder("fill-mask")))
    assert pipeline(task, str(folder("fill-mask")), allow_new_head=True)


def test_heads_tell_the_plain_tasks() -> None:
    assert small("multiple-choice", "multiple-choice").task == "multiple-choice"
    told = [pipeline(model=str(folder(task))).task for task in ("text-classification", "feature-extraction")]
    assert told == ["text-classification", "feature-extraction"]
