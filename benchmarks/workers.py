"""A library in a process of its own: CTranslate2, once loaded, makes torch's small products four times as slow."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class Unavailable(Exception):
    """Why a library has no part in a comparison."""


class Worker:
    """Writes text by one library, when it is told to.

    Args:
        library: its name in ``peers.LOADERS``.
        folder, weights, floats: as its loader takes them.

    Raises:
        Unavailable: the library is not installed, or has no such weights.
    """

    def __init__(self, library: str, folder: Path, weights: str, floats: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, library, folder, weights, floats), daemon=True)
        self._process.start()
        theirs.close()
        self._answer()

    def __call__(self, ids: Tensor, new: int, beams: int) -> tuple[float, Tensor]:
        """The seconds that it took, and the new ids."""
        self._pipe.send((ids.tolist(), new, beams))
        seconds, written = self._answer()
        return seconds, torch.tensor(written)

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join()

    def _answer(self) -> Any:
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise Unavailable("its process ended") from None
        if isinstance(answer, Unavailable):
            raise answer
        return answer


def _serve(pipe: Connection, library: str, folder: Path, weights: str, floats: str) -> None:
    """What a worker's process does until its pipe is closed."""
    from peers import LOADERS

    try:
        write = LOADERS[library](folder, weights, floats)
        pipe.send(True)
        while True:
            ids, new, beams = pipe.recv()
            rows = torch.tensor(ids)
            start = time.perf_counter()
            written = write(rows, new, beams)
            pipe.send((time.perf_counter() - start, written.tolist()))
    except Unavailable as error:
        pipe.send(error)
    except EOFError:
        return
