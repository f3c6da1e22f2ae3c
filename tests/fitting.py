"""Small data sets and trainers, for tests of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from headway.training.arguments import TrainingArguments
from headway.training.trainer import Trainer
from small import small_model


def rows_for(count: int = 22, width: int = 9) -> list[dict[str, Any]]:
    """Rows of different lengths with one of two labels, which their tokens tell."""
    generator = torch.Generator().manual_seed(5)
    found = []
    for number in range(count):
        length = 2 + int(torch.randint(width - 1, (), generator=generator))
        label = number % 2
        ids = torch.randint(5 + 20 * label, 30 + 20 * label, (length,), generator=generator).tolist()
        found.append({"input_ids": ids, "labels": label})
    return found


def pad(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """A batch of rows padded with 1; labels that are lists with -100."""
    width = max(len(row["input_ids"]) for row in rows)

    def filled(name: str, fill: int) -> torch.Tensor:
        return torch.tensor([row[name] + [fill] * (width - len(row[name])) for row in rows])

    batch = {"input_ids": filled("input_ids", 1)}
    batch["attention_mask"] = torch.tensor(
        [[1] * len(row["input_ids"]) + [0] * (width - len(row["input_ids"])) for row in rows]
    )
    for name in rows[0]:
        if name not in batch:
            lists = isinstance(rows[0][name], list)
            batch[name] = filled(name, -100) if lists else torch.tensor([row[name] for row in rows])
    return batch


def arguments(folder: Path | str, **values: Any) -> TrainingArguments:
    """Arguments of a short training on the CPU."""
    common: dict[str, Any] = {
        "per_device_train_batch_size": 4,
        "learning_rate": 5e-3,
        "num_train_epochs": 2,
        "logging_steps": 2,
        "save_strategy": "no",
        "use_cpu": True,
    }
    return TrainingArguments(str(folder), **{**common, **values})


def trainer_for(folder: Path | str, model: Any = None, **options: Any) -> Trainer:
    """A trainer of a small BERT with dropout; arguments of training by keyword, those of ``Trainer`` too."""
    own = ("callbacks", "compute_metrics", "eval_dataset", "train_dataset", "data_collator", "compute_loss_func")
    given = {name: options.pop(name) for name in own if name in options}
    if model is None:
        model = small_model("bert", "sequence-classification")
    given = {"train_dataset": rows_for(), "data_collator": pad, **given}
    return Trainer(model, arguments(folder, **options), **given)
