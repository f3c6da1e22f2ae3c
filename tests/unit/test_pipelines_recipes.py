"""The recipes of the small models run from start to end; two steps train nothing, but show that they would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headway import pipeline

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
TASKS = sorted(recipe.stem.replace("_", "-") for recipe in RECIPES.glob("*_*.py"))
QUICK = "feature-extraction"


@pytest.mark.parametrize("task", [pytest.param(t, marks=() if t == QUICK else pytest.mark.long) for t in TASKS])
def test_a_recipe_makes_a_model_that_its_pipeline_loads(task: str, tmp_path: Path) -> None:
    recipe = RECIPES / f"{task.replace('-', '_')}.py"
    command = [sys.executable, str(recipe), "--steps", "2", "--out", str(tmp_path / "model")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("step ") for line in done.stderr.splitlines()), done.stderr
    assert "held out" in (tmp_path / "model" / "README.md").read_text()
    assert pipeline(task, str(tmp_path / "model")).task == task
    again = subprocess.run([*command[:-1], str(tmp_path / "again")], capture_output=True, text=True, timeout=300)
    assert again.returncode == 0
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / "model" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
