"""Leaving in good order when the system asks for it."""

from __future__ import annotations

import signal
import threading
from types import TracebackType
from typing import Any

# What a process that was asked to end is expected to return.
CODE = 128 + signal.SIGTERM


class Leaving:
    """Notes SIGTERM while it is entered, so that the step at hand can be finished and saved.

    In a thread other than the main one, which may not look after signals, nothing is noted.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> Leaving:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _note(self, *_: Any) -> None:
        self.asked = True
