"""Each kind of label of a classifier, named or inferred; and labels that a decoder's inputs are made of."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from parity.compare import assert_close
from parity.inputs import collate, make_rows
from parity.oracle import Cell, Pair, cells, pair
from parity.test_gradients import compare_gradients

CLASSIFIERS = [cell for cell in cells() if cell.task in ("sequence-classification", "image-classification")]
SCORES, CLASSES = torch.tensor([0.3, -1.2, 2.0]), torch.tensor([2, 0, 1])
MANY = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
ONE = {"id2label": {0: "score"}, "label2id": {"score": 0}}

KINDS: dict[str, tuple[dict[str, Any], torch.Tensor]] = {
    "one-score": (ONE, SCORES),
    "one-score-as-column": (ONE, SCORES[:, None]),
    "scores": ({"problem_type": "regression"}, MANY * 1.7),
    "class": ({"problem_type": "single_label_classification"}, CLASSES),
    "classes": ({"problem_type": "multi_label_classification"}, MANY),
    "classes-inferred": ({}, MANY),
}


# Where transformers has a classifier with a loss of its own, headway has that of all others.
OTHERWISE = {
    (family, kind): reason
    for family in ("deberta", "deberta-v2")
    for kind, reason in {
        "one-score": "its logits are flattened when there are labels",
        "one-score-as-column": "its logits are flattened when there are labels",
        "classes-inferred": "labels in columns are taken for probabilities of one class",
    }.items()
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", CLASSIFIERS, ids=str)
def test_loss_of_labels(cell: Cell, kind: str) -> None:
    values, labels = KINDS[kind]
    both, inputs = Pair(cell, cell.values | values), collate(make_rows(cell))
    ours, theirs = both.ours(**inputs, labels=labels), both.oracle(**inputs, labels=labels)
    if (cell.model_type, kind) in OTHERWISE:
        theirs.logits = both.oracle(**inputs).logits
        loss = F.mse_loss if kind.startswith("one") else F.binary_cross_entropy_with_logits
        theirs.loss = loss(theirs.logits, labels.view(theirs.logits.shape))
    assert_close(ours, theirs)
    ours.loss.backward()
    theirs.loss.backward()
    compare_gradients(both)
    assert both.ours.config.problem_type == values.get("problem_type")


@pytest.mark.parametrize("cell", [cell for cell in cells() if cell.task == "seq2seq-lm"], ids=str)
@torch.no_grad()
def test_a_decoder_reads_its_labels_one_place_later(cell: Cell) -> None:
    both = pair(cell)
    inputs = {name: value for name, value in collate(make_rows(cell)).items() if not name.startswith("decoder_")}
    labels = torch.randint(5, 99, (3, 6), generator=torch.Generator().manual_seed(4))
    labels[1, 4:] = labels[2, 2:] = -100
    ours, theirs = both.ours(**inputs, labels=labels), both.oracle(**inputs, labels=labels)
    assert_close(ours.loss, theirs.loss)
    # What stands where labels are to be ignored is nobody's business.
    assert_close(ours.logits[labels != -100], theirs.logits[labels != -100])
