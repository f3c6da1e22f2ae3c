"""Metrics: equal to the libraries that define them, batch by batch as all at once, and nothing kept of examples."""

from __future__ import annotations

import math
import pickle
import random
from typing import Any

import numpy as np
import pytest
import torch

from headway.errors import InputError
from headway.training import metrics
from headway.training.metrics import EntityF1, Metric, Perplexity, Rouge, Squad, WordErrorRate, entities
from small import one_sentence

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 4, 200)
TOLD = np.where(RANDOM.random(200) < 0.7, LABELS, RANDOM.integers(0, 5, 200))


def in_batches(metric: Metric, predictions: Any, references: Any, size: int = 7) -> dict[str, float]:
    for start in range(0, len(references), size):
        metric.add(predictions[start : start + size], references[start : start + size])
    return metric.value()


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("average", ["micro", "macro", "weighted", "binary"])
def test_f1_equals_scikit_learn(average: str) -> None:
    oracle = pytest.importorskip("sklearn.metrics").precision_recall_fscore_support
    told, true = (TOLD % 2, LABELS % 2) if average == "binary" else (TOLD, LABELS)
    expected = oracle(true, told, average=average, zero_division=0)[:3]
    assert list(in_batches(metrics.F1(average), told, true).values()) == pytest.approx(expected)
    assert metrics.f1(told, true, average) == pytest.approx(expected[2])


def test_accuracy_and_matthews_equal_scikit_learn() -> None:
    oracle = pytest.importorskip("sklearn.metrics")
    assert in_batches(metrics.Accuracy(), TOLD, LABELS)["accuracy"] == pytest.approx(
        oracle.accuracy_score(LABELS, TOLD)
    )
    found = in_batches(metrics.MatthewsCorrelation(), TOLD, LABELS)["matthews_correlation"]
    assert found == pytest.approx(oracle.matthews_corrcoef(LABELS, TOLD))
    assert metrics.matthews([1, 1], [0, 1]) == 0.0


def test_labels_come_as_lists_arrays_tensors_or_scores_and_some_do_not_count() -> None:
    scores = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]], dtype=torch.bfloat16, requires_grad=True)
    for predictions in (scores, scores.argmax(-1), [1, 0, 1, 0]):
        assert metrics.accuracy(predictions, torch.tensor([1, 1, -100, 0])) == pytest.approx(2 / 3)
    assert metrics.accuracy(np.zeros((2, 3, 5)), [[0, 1, -100], [0, 0, -100]]) == 0.75


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_correlations_equal_scipy() -> None:
    oracle = pytest.importorskip("scipy.stats")
    given = RANDOM.normal(size=(100, 1)).round(1) + 1e6
    true = (given[:, 0] + RANDOM.normal(size=100)).round(1)
    found = in_batches(metrics.Pearson(), given, true)["pearson"]
    assert found == pytest.approx(oracle.pearsonr(given[:, 0], true).statistic, abs=1e-9)
    found = in_batches(metrics.Spearman(), given, true)["spearman"]
    assert found == pytest.approx(oracle.spearmanr(given[:, 0], true).statistic)
    assert math.isnan(metrics.pearson([1, 1, 1], [1, 2, 3]))


def test_perplexity_is_of_all_tokens_together() -> None:
    scores, labels = torch.randn(6, 5, 9), torch.randint(9, (6, 5))
    labels[torch.rand(6, 5) < 0.3] = -100
    expected = torch.nn.functional.cross_entropy(scores.flatten(0, 1), labels.flatten()).exp().item()
    assert in_batches(Perplexity(), scores, labels, 2)["perplexity"] == pytest.approx(expected, rel=1e-6)
    metric = Perplexity()
    metric.add_loss(math.log(2), 3)
    metric.add_loss(math.log(8), 1)
    assert metric.value()["perplexity"] == pytest.approx(2 ** (6 / 4))


# --- entities --------------------------------------------------------------------------------------------------------

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "E-PER", "S-LOC", "O"]


def test_entities_of_tags() -> None:
    assert entities(["B-PER", "I-PER", "O", "B-LOC"]) == [("PER", 0, 1), ("LOC", 3, 3)]
    assert entities(["I-PER", "I-LOC", "B-LOC", "I-LOC"]) == [("PER", 0, 0), ("LOC", 1, 1), ("LOC", 2, 3)]
    assert entities(["S-PER", "B-PER", "E-PER", "I-PER"]) == [("PER", 0, 0), ("PER", 1, 2), ("PER", 3, 3)]
    assert entities(["U-a", "B-a", "L-a"]) == [("a", 0, 0), ("a", 1, 2)]
    assert entities(["a", "a", "b", "O", "a"]) == [("a", 0, 1), ("b", 2, 2), ("a", 4, 4)]
    assert entities(["B-a-b", "I-a-b"]) == [("a-b", 0, 1)]
    assert entities([]) == []


def test_entity_f1_counts_whole_entities() -> None:
    metric = EntityF1(by_type=True)
    metric.add([["B-PER", "I-PER", "O", "B-LOC"]], [["B-PER", "I-PER", "O", "O"]])
    metric.add([["B-PER", "O", "O"]], [["B-PER", "I-PER", "O"]])
    found = metric.value()
    assert (found["precision"], found["recall"]) == (1 / 3, 1 / 2)
    assert found["f1"] == pytest.approx(0.4)
    assert found["accuracy"] == pytest.approx(5 / 7)
    assert (found["PER_f1"], found["LOC_f1"], found["LOC_recall"]) == (0.5, 0.0, 0.0)


def test_entity_f1_equals_seqeval() -> None:
    oracle = pytest.importorskip("seqeval.metrics")
    draw = random.Random(1)
    true = [[draw.choice(TAGS) for _ in range(draw.randint(1, 12))] for _ in range(300)]
    told = [[tag if draw.random() < 0.7 else draw.choice(TAGS) for tag in row] for row in true]
    found = in_batches(EntityF1(), told, true)
    assert found == pytest.approx(
        {
            "precision": oracle.precision_score(true, told),
            "recall": oracle.recall_score(true, told),
            "f1": oracle.f1_score(true, told),
            "accuracy": oracle.accuracy_score(true, told),
        }
    )


def test_entity_f1_of_a_models_scores() -> None:
    names = dict(enumerate(["O", "B-PER", "I-PER"]))
    labels = torch.tensor([[-100, 1, -100, 2, 0], [-100, 0, 1, -100, -100]])
    scores = torch.nn.functional.one_hot(torch.tensor([[0, 1, 0, 2, 0], [2, 0, 0, 1, 1]]), 3).float()
    by_ids, by_tags = EntityF1(names), EntityF1()
    by_ids.add(scores, labels)
    by_tags.add([["B-PER", "I-PER", "O"], ["O", "O"]], [["B-PER", "I-PER", "O"], ["O", "B-PER"]])
    assert by_ids.value() == by_tags.value()
    assert by_ids.value()["recall"] == 0.5


# --- texts -----------------------------------------------------------------------------------------------------------


def test_squad_takes_the_best_of_the_right_answers() -> None:
    metric = Squad()
    metric.add(["The  Eiffel-Tower!", "in 1889"], [["eiffeltower", "Paris"], "1889"])
    metric.add(["", "something", "a cat"], [[], [], ["the dog", "two cats", "cat dog"]])
    # By hand: 1, 2/3, 1, 0, and 2/3 of "cat" against "cat dog".
    assert metric.value() == pytest.approx({"exact_match": 100 * 2 / 5, "f1": 100 * (1 + 2 / 3 + 1 + 0 + 2 / 3) / 5})
    assert metrics.normalised("An apple, a day: THE doctor") == "apple day doctor"
    assert metrics.token_f1("a b b", "b b b c") == pytest.approx(2 * 2 / (2 + 4))


def test_rouge_by_hand() -> None:
    found = metrics.rouge("The cat sat on the mat.", "the cat was on a mat")
    assert found["rouge1"] == pytest.approx(2 * 4 / 12)
    assert found["rouge2"] == pytest.approx(2 * 1 / 10)
    assert found["rougeL"] == pytest.approx(2 * 4 / 12)
    assert metrics.rouge("", "x") == {"rouge1": 0.0, "rouge2": 0.0, "rougeL": 0.0}
    metric = Rouge()
    metric.add(["a b"], [["c d", "a c"]])
    metric.add(["a b"], ["a b"])
    assert metric.value() == {"rouge1": 0.75, "rouge2": 0.5, "rougeL": 0.75}


def texts(count: int = 200) -> tuple[list[str], list[str]]:
    draw = random.Random(2)
    words = ["the", "Cat", "sat", "on", "a", "mat-like", "it's", "3.14", "Öl", ""]
    one, other = ([" ".join(draw.choices(words, k=draw.randint(1, 12))) for _ in range(count)] for _ in range(2))
    return one, [text if text.strip() else "x" for text in other]


def test_rouge_equals_rouge_score() -> None:
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rouge1", "rouge2", "rougeL"])
    for text, gold in zip(*texts(), strict=True):
        expected = {name: score.fmeasure for name, score in scorer.score(gold, text).items()}
        assert metrics.rouge(text, gold) == pytest.approx(expected)


def test_word_errors_by_hand() -> None:
    assert metrics.edit_distance("kitten", "sitting") == 3
    assert metrics.edit_distance("", "abc") == metrics.edit_distance("abc", "") == 3
    metric = WordErrorRate()
    metric.add(["the cat sat", "x"], ["the cat sat down", "a b"])
    assert metric.value()["wer"] == 3 / 6


def test_word_error_rate_equals_jiwer() -> None:
    oracle = pytest.importorskip("jiwer")
    given, true = texts()
    assert in_batches(WordErrorRate(), given, true)["wer"] == pytest.approx(oracle.wer(true, given))


# --- all -------------------------------------------------------------------------------------------------------------

EXAMPLES: dict[Any, tuple[Any, Any]] = {
    metrics.Accuracy: ([1, 0], [1, 1]),
    metrics.F1: ([1, 0], [1, 1]),
    metrics.MatthewsCorrelation: ([1, 0], [1, 1]),
    metrics.Pearson: ([1.0, 0.0], [1.0, 1.5]),
    metrics.EntityF1: ([["B-a"], ["O"]], [["B-a"], ["B-a"]]),
    metrics.Squad: (["a", "b"], ["a", "c"]),
    metrics.Rouge: (["a", "b"], ["a", "c"]),
    metrics.WordErrorRate: (["a", "b"], ["a", "c"]),
    metrics.Perplexity: ([[0.1, 0.9], [0.5, 0.5]], [1, 0]),
}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_what_is_kept_does_not_grow(kind: Any) -> None:
    metric = kind()
    metric.add(*EXAMPLES[kind])
    size = len(pickle.dumps(metric))
    value = metric.value()
    for _ in range(100):
        metric.add(*EXAMPLES[kind])
    assert len(pickle.dumps(metric)) < size + 100
    assert metric.value() == pytest.approx(value)


@pytest.mark.parametrize("kind", [*EXAMPLES, metrics.Spearman])
def test_nothing_has_no_value(kind: Any) -> None:
    assert all(math.isnan(value) for value in kind().value().values())


@pytest.mark.parametrize(
    ("kind", "predictions", "references"),
    [
        (metrics.Accuracy, [1, 2], [1]),
        (metrics.Accuracy, [1.0], [1.5]),
        (metrics.Pearson, [1, 2], [1]),
        (metrics.EntityF1, [["O"]], [["O"], ["O"]]),
        (metrics.EntityF1, [["O"]], [["O", "O"]]),
        (metrics.Squad, ["a"], []),
        (metrics.Rouge, "a", "a"),
        (metrics.WordErrorRate, ["a"], []),
        (metrics.Perplexity, [[0.1, 0.2]], [[1]]),
    ],
)
def test_what_does_not_fit_is_told(kind: Any, predictions: Any, references: Any) -> None:
    with pytest.raises(InputError) as caught:
        kind().add(predictions, references)
    one_sentence(caught.value)


def test_an_average_that_is_none_is_told() -> None:
    with pytest.raises(InputError) as caught:
        metrics.F1("makro")
    assert "Did you mean 'macro'?" in one_sentence(caught.value)
