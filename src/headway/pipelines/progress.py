"""How far long work is, on stderr."""

from __future__ import annotations

import sys
import time
from typing import Self

# Work that is done sooner shows nothing.
PATIENCE = 2.0


class Progress:
    """A line that says how many rows are done, where stderr is a terminal; it is wiped out in the end."""

    def __init__(self, task: str, total: int) -> None:
        self.task, self.total, self.done = task, total, 0
        self._start, self._width = time.monotonic(), 0

    def add(self, count: int) -> None:
        """Count ``count`` more rows as done."""
        self.done += count
        if sys.stderr.isatty() and time.monotonic() - self._start > PATIENCE:
            self._show(f"{self.task}: {self.done} of {self.total}")

    def _show(self, line: str) -> None:
        print(f"\r{line.ljust(self._width)}", end="", file=sys.stderr, flush=True)
        self._width = len(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._width:
            self._show("")
            print("\r", end="", file=sys.stderr, flush=True)
