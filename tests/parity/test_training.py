"""A short training by ``Trainer`` is the loop that one would write around the oracle's model, step for step."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch.nn import functional as F

import headway
from parity.inputs import Inputs, collate, make_labels, make_rows, merge
from parity.oracle import Cell, Pair, cells

STEPS, WARMUP, SIZE, RATE, DECAY = 50, 5, 8, 3e-3, 0.01
OPTIONS = {
    "max_steps": STEPS,
    "per_device_train_batch_size": SIZE,
    "train_sampling_strategy": "sequential",
    "learning_rate": RATE,
    "lr_scheduler_type": "linear",
    "warmup_steps": WARMUP,
    "weight_decay": DECAY,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "use_cpu": True,
}
# The largest difference of a step's losses, which are 0.1 to 10.
TOLERANCE = 1e-4

CASES = [
    Cell("bert", "sequence-classification"),
    Cell("bert", "token-classification"),
    Cell("bert", "question-answering"),
    Cell("bert", "masked-lm"),
    Cell("bert", "multiple-choice"),
    Cell("bert", "next-sentence-prediction"),
    Cell("bert", "pretraining"),
    Cell("gpt2", "causal-lm"),
    Cell("llama", "causal-lm"),
    Cell("llama", "sequence-classification"),
    Cell("t5", "seq2seq-lm"),
    Cell("vit", "image-classification"),
    Cell("clip", "zero-shot-image-classification"),
]


def both(cell: Cell) -> Pair:
    """One checkpoint in both libraries, for a test that changes its weights."""
    layers = dict.fromkeys(("num_hidden_layers", "n_layer", "num_layers", "num_decoder_layers"), 2)
    values = cell.values
    return Pair(cell, values | {name: count for name, count in layers.items() if name in values})


@cache
def rows_of(cell: Cell) -> list[Inputs]:
    """Three batches of rows of three lengths, with labels."""
    rows = make_rows(cell, ragged=True, rows=3 * SIZE)
    rows = merge(rows, make_labels(cell, rows))
    return [{name: value for name, value in row.items() if name != "decoder_input_ids"} for row in rows]


def padded(rows: list[Inputs]) -> Inputs:
    """A batch, padded with the token that the oracle knows padding by."""
    return collate(rows, "right", fill=1)


def by_trainer(library: Any, model: Any, cell: Cell, folder: Path) -> list[float]:
    """The loss of each step of a library's ``Trainer``."""
    args = library.TrainingArguments(str(folder), **OPTIONS)
    trainer = library.Trainer(model, args, train_dataset=rows_of(cell), data_collator=padded)
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def by_hand(both: Pair) -> list[float]:
    """The same of a plain loop around the oracle's model."""
    model, rows, losses = both.theirs.train(), rows_of(both.cell), []
    decayed = {name: p for name, p in model.named_parameters() if p.dim() > 1 and "bias" not in name}
    rest = [p for name, p in model.named_parameters() if name not in decayed]
    groups = [{"params": [*decayed.values()], "weight_decay": DECAY}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(step / WARMUP, (STEPS - step) / (STEPS - WARMUP))
    )
    for step in range(STEPS):
        start = step * SIZE % len(rows)
        loss = their_loss(both, padded(rows[start : start + SIZE]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def their_loss(both: Pair, batch: Inputs) -> torch.Tensor:
    """The oracle's loss of a batch; of an answer's ends without the places of padding, which it counts in."""
    output = both.oracle(**batch, **both.cell.call)
    if both.cell.task != "question-answering":
        return output.loss
    padding = batch["attention_mask"] == 0
    ends = ((output.start_logits, batch["start_positions"]), (output.end_logits, batch["end_positions"]))
    return sum(F.cross_entropy(logits.masked_fill(padding, -torch.inf), place) for logits, place in ends) / 2


def compare(found: list[float], expected: list[float]) -> None:
    assert len(found) == len(expected) == STEPS
    assert found == pytest.approx(expected, abs=TOLERANCE, rel=0)
    assert sum(found[-9:]) < 0.9 * sum(found[:9]), "nothing was learnt, so that little is shown"


@pytest.mark.parametrize("cell", CASES, ids=str)
def test_losses_are_those_of_a_loop_around_the_oracle(cell: Cell, tmp_path: Path) -> None:
    pair = both(cell)
    compare(by_trainer(headway, pair.ours, cell, tmp_path), by_hand(pair))


@pytest.mark.long
@pytest.mark.parametrize("cell", [CASES[0], Cell("t5", "seq2seq-lm")], ids=str)
def test_losses_are_those_of_the_oracles_trainer(cell: Cell, tmp_path: Path) -> None:
    pair = both(cell)
    expected = by_trainer(transformers, pair.theirs, cell, tmp_path)
    compare(by_trainer(headway, pair.ours, cell, tmp_path), expected)


def test_every_head_with_a_loss_is_trained() -> None:
    assert {cell.task for cell in cells() if cell.has_loss} == {cell.task for cell in CASES}
