"""A step in parts: the losses of its passes are shares that add up to that of all rows in one pass, for every head."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from headway import InputError
from small import inputs_for, small_model

# Family, task, and what makes it another objective.
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("bert", "sequence-classification", {"num_labels": 3}),
    ("bert", "sequence-classification", {"num_labels": 1}),
    ("bert", "sequence-classification", {"num_labels": 3, "problem_type": "multi_label_classification"}),
    ("bert", "token-classification", {"num_labels": 3}),
    ("bert", "question-answering", {}),
    ("bert", "masked-lm", {}),
    ("bert", "multiple-choice", {}),
    ("bert", "next-sentence-prediction", {}),
    ("bert", "pretraining", {}),
    ("electra", "pretraining", {}),
    ("gpt2", "causal-lm", {}),
    ("llama", "sequence-classification", {"num_labels": 3}),
    ("t5", "seq2seq-lm", {}),
    ("bart", "question-answering", {}),
    ("bart", "sequence-classification", {"num_labels": 3}),
    ("t5", "multiple-choice", {}),
    ("t5", "token-classification", {}),
    ("vit", "image-classification", {"num_labels": 3}),
    ("deit", "image-classification-with-teacher", {"num_labels": 3}),
]
SMOOTHED = [case for case in CASES if case[2].get("num_labels") != 1 and "problem_type" not in case[2]]
ROWS = 8


def ragged(model: Any) -> dict[str, Tensor]:
    """Eight rows of different lengths, with labels of which some do not count."""
    batch = inputs_for(model, ROWS)
    batch.pop("decoder_input_ids", None)
    generator = torch.Generator().manual_seed(4)

    def draw(high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=generator)

    classes = model.config.num_labels
    if "input_ids" in batch:
        width = batch["input_ids"].shape[-1]
        lengths = 2 + draw(width - 1, *batch["input_ids"].shape[:-1])
        mask = (torch.arange(width) < lengths[..., None]).long()
        # Rows end in the token that some heads read.
        batch["attention_mask"] = mask.flip(-1) if "labels" in model.plan.targets else mask
    match model.task:
        case "question-answering":
            batch |= {"start_positions": draw(8, ROWS), "end_positions": draw(8, ROWS)}
        case "token-classification" | "masked-lm" | "causal-lm" | "seq2seq-lm" | "pretraining":
            high = {"token-classification": classes}.get(model.task, 2 if "labels" in model.plan.targets[1:] else 50)
            if model.task == "pretraining" and len(model.plan.targets) == 1:
                batch["labels"] = draw(2, *batch["input_ids"].shape)
            else:
                labels = draw(high, *batch["input_ids"].shape)
                batch["labels"] = labels.masked_fill(draw(3, *labels.shape) == 0, -100)
            for name in model.plan.targets[1:]:
                batch[name] = draw(2, ROWS)
        case _ if model.config.problem_type:
            batch["labels"] = draw(2, ROWS, classes).float()
        case "sequence-classification" if classes == 1:
            batch["labels"] = draw(9, ROWS).float()
        case _:
            batch["labels"] = draw(2, ROWS)
            batch["labels"][1] = -100
    return batch


def parts_of(batch: dict[str, Tensor], sizes: list[int]) -> list[dict[str, Tensor]]:
    split = {name: value.split(sizes) for name, value in batch.items()}
    return [{name: pieces[i] for name, pieces in split.items()} for i in range(len(sizes))]


def gradients(model: Any, batch: dict[str, Tensor], sizes: list[int], **options: Any) -> tuple[Tensor, list[Tensor]]:
    """The loss of a step in passes of ``sizes`` rows, and its gradients."""
    model.zero_grad()
    passes = parts_of(batch, sizes)
    counts = [model.loss_counts(**part) for part in passes]
    totals = {name: sum(count[name] for count in counts) for name in counts[0]}
    losses = [model(**part, loss_counts=totals, **options).loss for part in passes]
    torch.stack(losses).sum().backward()
    return torch.stack(losses).sum().detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize(("family", "task", "values"), CASES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_shares_add_up(family: str, task: str, values: dict[str, Any], smoothing: float) -> None:
    if smoothing and (family, task, values) not in SMOOTHED:
        pytest.skip("no classes that exclude each other")
    model = small_model(family, task, **values)
    batch = ragged(model)
    whole = model(**batch, label_smoothing=smoothing).loss
    assert whole.isfinite()
    model.zero_grad()
    whole.backward()
    expected = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    for sizes in ([8], [3, 3, 2], [1] * 8):
        loss, found = gradients(model, batch, sizes, label_smoothing=smoothing)
        torch.testing.assert_close(loss, whole.detach(), rtol=1e-6, atol=1e-6)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_padding_and_shifted_labels_are_not_counted() -> None:
    ids, mask = torch.arange(10, 20).view(2, 5), torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]])
    labels = ids.clone()
    labels[0, 2] = -100
    assert small_model("gpt2", "causal-lm").loss_counts(input_ids=ids, attention_mask=mask, labels=labels) == {
        "labels": 3 + 2
    }
    masked = small_model("bert", "masked-lm")
    assert masked.loss_counts(input_ids=ids, attention_mask=mask, labels=labels) == {"labels": 4 + 3}
    assert masked.loss_counts(input_ids=ids) == {}


def test_places_beyond_the_text_are_not_counted() -> None:
    model = small_model("bert", "question-answering")
    ids, mask = torch.ones(2, 4, dtype=torch.long), torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    counts = model.loss_counts(
        input_ids=ids, attention_mask=mask, start_positions=torch.tensor([4, 1]), end_positions=torch.tensor([3, 3])
    )
    assert counts == {"start_positions": 1, "end_positions": 1}


def test_a_pass_without_a_label_has_no_share() -> None:
    """Its mean would be none: nought divided by nought."""
    model = small_model("bert", "masked-lm")
    batch = {"input_ids": torch.ones(1, 4, dtype=torch.long), "labels": torch.full((1, 4), -100)}
    assert model.loss_counts(**batch) == {"labels": 0}
    assert model(**batch, loss_counts={"labels": 3}).loss == 0


def test_contrast_is_weighed_by_rows() -> None:
    model = small_model("clip", "zero-shot-image-classification")
    batch = inputs_for(model, 2)
    assert model.loss_counts(**batch, return_loss=True) == {"return_loss": 2}
    assert model.loss_counts(**batch) == {}
    whole = model(**batch, return_loss=True).loss
    torch.testing.assert_close(model(**batch, return_loss=True, loss_counts={"return_loss": 8}).loss, whole / 4)


def test_a_total_must_be_given_for_each_target() -> None:
    model = small_model("bert", "sequence-classification")
    batch = {"input_ids": torch.ones(1, 4, dtype=torch.long), "labels": torch.tensor([1])}
    with pytest.raises(InputError, match="loss_counts must say how many labels"):
        model(**batch, loss_counts={})
    with pytest.raises(InputError, match="Did you mean 'label_smoothing'"):
        model(**batch, label_smoothin=0.1)


def test_smoothing_needs_classes() -> None:
    model = small_model("bert", "sequence-classification", num_labels=1)
    with pytest.raises(InputError, match="leave it at 0"):
        model(input_ids=torch.ones(1, 4, dtype=torch.long), labels=torch.tensor([1.0]), label_smoothing=0.1)
