"""In which order rows are trained on: which of them make a step, a pass, and the part of a process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

# Steps whose rows are put in order of length at a time where steps are to have rows of about one length.
_NEIGHBOURS = 50


class Place(NamedTuple):
    """One pass of one process: its rows, none where others have what is left; and the seed of what is drawn for it."""

    rows: Sequence[int]
    seed: int


@dataclass(frozen=True)
class Split:
    """How the rows of a step are spread: ``size`` at most a pass, ``passes`` one after another, over processes."""

    size: int
    passes: int = 1
    world: int = 1
    rank: int = 0

    @property
    def rows(self) -> int:
        """Rows of a whole step."""
        return self.size * self.passes * self.world

    def rounds(self, rows: int) -> int:
        """How many passes each process makes of ``rows``, the same for all."""
        return -(-rows // (self.size * self.world))

    def deal(self, rows: Sequence[int]) -> list[Sequence[int]]:
        """This process's passes over the ``rows`` of a step, which are spread as evenly as they can be."""
        slots = self.rounds(len(rows)) * self.world
        least, more = divmod(len(rows), slots)
        ends = [slot * least + min(slot, more) for slot in range(slots + 1)]
        return [rows[ends[slot] : ends[slot + 1]] for slot in range(self.rank, slots, self.world)]


class Order:
    """The passes of one process over a data set, epoch after epoch; any place of it is found at once.

    Which rows make a step depends on the seed, the epoch and the number of rows of a step alone, so that steps are the
    same however they are split. Where lengths are known, the rows of a step go to its passes by length, which saves
    padding and changes no result; ``grouped`` makes whole steps of rows of about one length, which does change what is
    learned together.

    Args:
        count: rows of the data set.
        lengths: of each row, where they are known.
        drop_last: leave out the rows that do not fill the passes of all processes.
        shuffled: False takes the rows as they stand.
    """

    def __init__(
        self,
        count: int,
        split: Split,
        seed: int,
        lengths: Sequence[int] | None = None,
        grouped: bool = False,
        drop_last: bool = False,
        shuffled: bool = True,
    ) -> None:
        self.split, self.seed, self.lengths, self.grouped, self.shuffled = split, seed, lengths, grouped, shuffled
        self.all = count
        self.count = count - count % (split.size * split.world) if drop_last else count
        self.epoch = self.skipped = 0

    def go_to(self, epoch: int, steps: int = 0) -> None:
        """Let the next iteration be that of ``epoch``, without its first ``steps``."""
        self.epoch, self.skipped = epoch, steps

    def __len__(self) -> int:
        """Passes of one process in an epoch."""
        whole, rest = divmod(self.count, self.split.rows)
        return whole * self.split.passes + self.split.rounds(rest)

    def __iter__(self) -> Iterator[Place]:
        for number, rows in enumerate(self.steps()):
            if number >= self.skipped:
                for index, part in enumerate(self.split.deal(rows)):
                    yield Place(part, _mixed(self.seed, self.epoch, number, index, self.split.rank))

    def steps(self) -> list[list[int]]:
        """The rows of every step of the epoch."""
        generator = torch.Generator().manual_seed(_mixed(self.seed, self.epoch))
        order = torch.randperm(self.all, generator=generator).tolist() if self.shuffled else list(range(self.all))
        order = order[: self.count]
        size, lengths = self.split.rows, self.lengths
        if lengths is not None and self.grouped:
            near = size * _NEIGHBOURS
            order = [row for start in range(0, len(order), near) for row in _longest_first(order, start, near, lengths)]
        steps = [order[start : start + size] for start in range(0, len(order), size)]
        if lengths is not None and self.grouped:
            # Only the last may be short; the longest goes first, so that too little memory shows at once.
            whole = len(steps) - (len(steps[-1]) < size) if steps else 0
            mixed = [steps[index] for index in torch.randperm(whole, generator=generator).tolist()]
            longest = max(range(whole), key=lambda index: lengths[mixed[index][0]], default=0)
            if mixed:
                mixed[0], mixed[longest] = mixed[longest], mixed[0]
            steps = [*mixed, *steps[whole:]]
        elif lengths is not None and self.split.passes * self.split.world > 1:
            steps = [_longest_first(step, 0, size, lengths) for step in steps]
        return steps


def _longest_first(order: Sequence[int], start: int, count: int, lengths: Sequence[int]) -> list[int]:
    return sorted(order[start : start + count], key=lambda row: -lengths[row])


def _mixed(*numbers: int) -> int:
    """One seed of several numbers."""
    found = 0
    for number in numbers:
        found = (found * 6364136223846793005 + number + 1442695040888963407) % 2**63
    return found


def cheap_lengths(dataset: Any, column: str) -> list[int] | None:
    """How long each row is, where that is known without making the rows: from ``column``, or from ``input_ids``.

    None for data sets that are neither lists of dictionaries nor those of ``datasets``.
    """
    if isinstance(dataset, list | tuple) and dataset and isinstance(dataset[0], dict):
        if column in dataset[0]:
            return [int(row[column]) for row in dataset]
        if all(hasattr(row.get("input_ids"), "__len__") for row in dataset):
            return [len(row["input_ids"]) for row in dataset]
        return None
    names = getattr(dataset, "column_names", None)
    if not isinstance(names, list) or not hasattr(dataset, "with_format"):
        return None
    if column in names:
        return [int(length) for length in dataset.with_format(None)[column]]
    if "input_ids" not in names:
        return None
    from pyarrow import compute

    table = dataset.select_columns(["input_ids"]).with_format("arrow")[:]
    lengths: list[int] = compute.list_value_length(table["input_ids"]).to_pylist()
    return lengths
