"""What the README shows runs as it stands there, against small checkpoints under the ids that it names."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from headway.cli.main import headway

README = (Path(__file__).parents[2] / "README.md").read_text()
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
COMMANDS = re.findall(
    r"^headway (.*)$", "\n".join(re.findall(r"^```console\n(.*?)^```", README, re.DOTALL | re.MULTILINE)), re.M
)


def test_the_python_of_the_readme_runs_from_top_to_bottom() -> None:
    space: dict[str, Any] = {"__name__": "readme"}
    for block in PYTHON:
        exec(compile(block, "README.md", "exec"), space)
    assert space["outputs"].logits.shape == (2, 3)
    assert Path("my-model/model.safetensors").is_file()
    assert Path("scorer/config.json").is_file()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_readme_run(command: str) -> None:
    result = CliRunner().invoke(headway, shlex.split(command), catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip()


def test_the_readme_shows_something() -> None:
    assert len(PYTHON) >= 4
    assert len(COMMANDS) >= 5
