"""Which rows go through the model together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# More tokens in a pass save no time: the matrices are large enough to keep a CPU busy, and a GPU from here on.
TOKENS_ON_CPU = 2048
TOKENS_ON_GPU = 16384


def batches(lengths: Sequence[int], budget: int, most: int | None = None) -> Iterator[list[int]]:
    """Yield the numbers of rows that go together: of like length, the longest first.

    Args:
        lengths: tokens of each row.
        budget: tokens of a batch at most, padding included, unless one row alone has more.
        most: rows of a batch at most.
    """
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        if batch and ((len(batch) + 1) * lengths[batch[0]] > budget or len(batch) == most):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch
