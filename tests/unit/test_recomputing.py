"""Gradient checkpointing changes memory, not results: losses and gradients are the same, dropout too."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from headway.models.plan import tasks_of
from headway.registry import families
from small import READERS, inputs_for, small_model

SHORT = ("bert", "t5", "deberta-v2", "mixtral", "gpt2", "albert", "mamba2")


def gradients(model: Any, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
    model.zero_grad()
    torch.manual_seed(3)
    output = model(**batch)
    output.loss.backward()
    return {
        "loss": output.loss.detach(),
        **{n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None},
    }


@pytest.mark.parametrize(
    "family",
    [name if name in SHORT else pytest.param(name, marks=pytest.mark.long) for name in READERS],
)
@pytest.mark.parametrize("padded", [False, True])
def test_gradients_are_the_same(family: str, padded: bool) -> None:
    tasks = tasks_of(families()[family])
    task = next(task for task in ("causal-lm", "seq2seq-lm", "masked-lm", "token-classification") if task in tasks)
    model = small_model(family, task).train()
    batch = inputs_for(model)
    batch["labels"] = batch.get("decoder_input_ids", batch["input_ids"]) % model.config.num_labels
    if padded:
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
        batch["attention_mask"][0, :2] = 0
    expected = gradients(model, batch)
    model.gradient_checkpointing_enable()
    assert model.is_gradient_checkpointing
    found = gradients(model, batch)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0, msg=name)


def test_layers_keep_their_inputs_alone() -> None:
    model = small_model("bert", "masked-lm").train()
    batch = {**inputs_for(model), "labels": inputs_for(model)["input_ids"]}

    def kept() -> int:
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: (sizes.append(x.numel()), x)[1], lambda x: x):
            model(**batch)
        return sum(sizes)

    whole = kept()
    model.gradient_checkpointing_enable()
    assert kept() < whole / 2
    model.gradient_checkpointing_disable()
    assert kept() == whole
