"""A family from without, one file of less than 80 lines, is tested like all others by being registered."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CELLS = ("base", "causal-lm", "question-answering", "sequence-classification")
FILES = ("outputs", "padding", "recorded", "gradients", "round_trip", "decoding", "labels", "holes")


@pytest.mark.parametrize("family", ["biogpt"])
def test_the_suite_finds_it(family: str) -> None:
    assert len((HERE / "newcomer" / f"{family}.py").read_text().splitlines()) < 80
    command = [sys.executable, "-m", "pytest", str(HERE), "-p", f"parity.newcomer.{family}", "-k", f"{family}-", "-rA"]
    command += ["-p", "no:xdist", "-p", "no:cacheprovider"]
    path = os.pathsep.join((str(HERE.parent), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed = [line for line in done.stdout.splitlines() if line.startswith("PASSED")]
    for file in FILES:
        assert any(f"test_{file}.py" in line for line in passed), f"no cell of test_{file}.py"
    for task in (*CELLS, "token-classification", "multiple-choice"):
        assert any(f"{family}-{task}-plain" in line for line in passed), f"no cell of {task}"
