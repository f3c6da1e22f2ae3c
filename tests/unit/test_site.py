"""The documentation builds without a warning, its reference has every public name, and what tools write is fresh."""

import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import headway
from headway.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
# Other names of what is there under its own, and what another library describes.
ALIASES = {"AddedToken", "PretrainedConfig", "PretrainedModel"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site; links that lead nowhere are warnings, and warnings are errors."""
    place = tmp_path_factory.mktemp("documentation")
    shutil.copytree(ROOT / "docs", place / "docs")
    shutil.copy(ROOT / "zensical.toml", place)
    for part in ("src", "benchmarks", "CHANGELOG.md"):
        (place / part).symlink_to(ROOT / part)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "griffe" not in said, said
    return place / "site"


def test_the_reference_has_every_public_name(site: Path) -> None:
    held = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    described = {line.split(" ")[0] for line in zlib.decompress(held).decode().splitlines()}
    public = {name: getattr(headway, name) for name in headway.__all__ if name != "__version__" and name not in ALIASES}
    kinds = {name: value if hasattr(value, "__qualname__") else type(value) for name, value in public.items()}
    assert [name for name, kind in kinds.items() if f"{kind.__module__}.{kind.__qualname__}" not in described] == []


def test_every_page_says_what_it_is_about(site: Path) -> None:
    for source in (ROOT / "docs").rglob("*.md"):
        page = site / source.relative_to(ROOT / "docs").with_suffix(".html")
        assert page.read_text().count("<h1") == 1, page


def test_every_command_is_on_its_page() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    assert [name for name in COMMANDS if f"| `headway {name}" not in page] == []


def test_the_pages_of_tasks_are_fresh() -> None:
    """In a process of its own: other tests define pipelines."""
    code = "import tasks; assert not tasks.stale(), f'run python tools/tasks.py: {tasks.stale()}'"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tools", check=True)
