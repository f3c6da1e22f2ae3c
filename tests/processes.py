"""Two processes that train together on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run_two(test: str, folder: Path, **environment: str) -> None:
    """Call ``worker(folder)`` of the test's file in both processes; fails where one of them does."""
    paths = [str(Path(test).parent), str(Path(__file__).parent), *sys.path]
    code = f"import {Path(test).stem} as t; from pathlib import Path; t.worker(Path({str(folder)!r}))"
    shared = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    shared |= {"MASTER_PORT": str(20000 + os.getpid() % 20000), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    shared |= environment
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code], env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}, cwd=folder
        )
        for rank in range(2)
    ]
    assert [process.wait() for process in running] == [0, 0]
