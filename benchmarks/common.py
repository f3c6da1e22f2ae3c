"""What the benchmarks share: timing two libraries in turn, in one process, and saying on what."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def in_turn(one: Callable[[], object], other: Callable[[], object], rounds: int, inner: int = 1) -> tuple[float, float]:
    """Median seconds of each, run in turn ``rounds`` times, ``inner`` calls a round, after one for warmth."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for run in (one, other):
        run()
    for _ in range(rounds):
        for run, times in zip((one, other), seconds, strict=True):
            start = time.perf_counter()
            for _ in range(inner):
                run()
            times.append((time.perf_counter() - start) / inner)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def row(name: str, headway: float, peer: float, unit: float = 1e3, suffix: str = "ms") -> None:
    """Print one comparison; the ratio is headway's time over the peer's."""
    print(
        f"{name:<42} headway {headway * unit:9.2f} {suffix}   transformers {peer * unit:9.2f} {suffix}   "
        f"ratio {headway / peer:5.2f}",
        flush=True,
    )


def machine() -> str:
    """One line on when and where."""
    import torch
    import transformers

    import headway

    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return (
        f"{date.today()}, {model}, {torch.get_num_threads()} threads; headway {headway.__version__}, "
        f"torch {torch.__version__}, transformers {transformers.__version__}"
    )
