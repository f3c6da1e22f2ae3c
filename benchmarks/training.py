"""Training: steps a second of ``Trainer`` against transformers' own, and of both against plain loops.

    python benchmarks/training.py [--large] [--steps N] [--rounds N]

A BERT of four layers, 128 wide (with ``--large`` BERT-base), classifies eight rows a step in fp32 without dropout:
rows of 128 tokens, and rows of lognormal length (median about 24 tokens, at most 256). One run is a training of
``--steps`` steps, timed from the end of the first to that of the last; all four take turns on the same weights, rows
and order. The loops are those that one would write by hand: a loader, the model's loss, the norm clipped, fused AdamW
and a linear schedule.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
import transformers
from common import machine

import headway

SMALL = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 512}
SIZE, RATE = 8, 1e-5
Rows = list[dict[str, Any]]


def rows_of(lengths: list[int]) -> Rows:
    """Random ids of these lengths, with one of two labels."""
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randint(1000, 30000, (length,), generator=generator) for length in lengths]
    return [{"input_ids": ids, "labels": number % 2} for number, ids in enumerate(drawn)]


def skewed(count: int) -> list[int]:
    """Lognormal lengths: median about 24, at most 256."""
    drawn = torch.randn(count, generator=torch.Generator().manual_seed(0))
    return (drawn * 0.9 + 3.2).exp().clamp(4, 256).long().tolist()


def collate(rows: Rows) -> dict[str, torch.Tensor]:
    """A padded batch."""
    ids = [row["input_ids"] for row in rows]
    return {
        "input_ids": torch.nn.utils.rnn.pad_sequence(ids, batch_first=True),
        "attention_mask": torch.nn.utils.rnn.pad_sequence([torch.ones_like(one) for one in ids], batch_first=True),
        "labels": torch.tensor([row["labels"] for row in rows]),
    }


def by_trainer(library: Any, folder: Path, rows: Rows) -> Callable[[], list[float]]:
    """A training by the library's ``Trainer``; says when each step ended."""
    model = library.BertForSequenceClassification.from_pretrained(folder)
    args = library.TrainingArguments(
        str(folder / "out"),
        max_steps=len(rows) // SIZE,
        per_device_train_batch_size=SIZE,
        learning_rate=RATE,
        train_sampling_strategy="sequential",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    ends: list[float] = []

    class Watch(library.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            ends.append(time.perf_counter())

    def run() -> list[float]:
        ends.clear()
        trainer = library.Trainer(
            model=model, args=args, train_dataset=rows, data_collator=collate, callbacks=[Watch()]
        )
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # what trainers say at their end
            trainer.train()
        return ends

    return run


def by_hand(library: Any, folder: Path, rows: Rows) -> Callable[[], list[float]]:
    """The same training by a loop around the library's model."""
    model = library.BertForSequenceClassification.from_pretrained(folder)

    def run() -> list[float]:
        model.train()
        ends = []
        loader = torch.utils.data.DataLoader(rows, SIZE, collate_fn=collate)
        optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / len(loader))
        for batch in loader:
            model(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            ends.append(time.perf_counter())
        return ends

    return run


def compare(name: str, folder: Path, rows: Rows, rounds: int) -> None:
    """Print the median steps a second of all four, and what a trainer adds to its own model's loop."""
    ways = {
        (library.__name__, way.__name__): way(library, folder, rows)
        for library in (headway, transformers)
        for way in (by_trainer, by_hand)
    }
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in ways}
    for number in range(rounds + 1):  # the first for warmth
        for key, run in ways.items():
            ends = run()
            if number:
                # Not the first step, in which an optimizer takes its memory from the system or from what others left.
                seconds[key].append((ends[-1] - ends[0]) / (len(ends) - 1))
    median = {key: statistics.median(times) for key, times in seconds.items()}
    for way in ("by_trainer", "by_hand"):
        ours, theirs = median["headway", way], median["transformers", way]
        print(
            f"{name:<30} {way:<10}   headway {1 / ours:7.2f} steps/s   transformers {1 / theirs:7.2f} steps/s   "
            f"ratio {ours / theirs:5.2f}",
            flush=True,
        )
    for library in ("headway", "transformers"):
        # Of neighbours in time, so that what else the machine does falls on both.
        pairs = zip(seconds[library, "by_trainer"], seconds[library, "by_hand"], strict=True)
        print(f"  {library}'s Trainer over the loop: {statistics.median(a / b for a, b in pairs) - 1:+.1%}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--large", action="store_true", help="BERT-base")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print(machine())
    fields = {} if given.large else SMALL
    model = "BERT-base" if given.large else "BERT, 4 layers"
    with tempfile.TemporaryDirectory() as place:
        torch.manual_seed(0)
        still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        config = transformers.BertConfig(**fields, **still)
        transformers.BertForSequenceClassification(config).save_pretrained(place)
        count = given.steps * SIZE
        compare(f"{model}, 8 x 128", Path(place), rows_of([128] * count), given.rounds)
        compare(f"{model}, skewed lengths", Path(place), rows_of(skewed(count)), given.rounds)


if __name__ == "__main__":
    main()
