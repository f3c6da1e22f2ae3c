"""What the README and the documentation show runs as it stands there, and prints what they say that it prints.

A page is run from top to bottom in an empty folder, against small checkpoints under the ids that it names: blocks of
Python in one space, commands of headway, and files, which are blocks with a title. A block of text behind one of them
is what that one prints.
"""

from __future__ import annotations

import io
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from headway import registry
from headway.cli.main import headway
from headway.pipelines import base
from hub import Hub
from small import small_checkpoint, small_config

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r'^```(\w+)(?: title="(.+?)")?\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?', re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^(?:cat (?P<input>\S+) \| )?headway (?P<arguments>.*?)(?: > (?P<output>\S+))?$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block of a page: its language, the file that it is, its text, and what is said that it prints."""

    kind: str
    file: str | None
    text: str
    prints: str | None

    def run(self, space: dict[str, Any]) -> str:
        """Run the block, or write the file; return what is printed."""
        if self.file is not None:
            Path(self.file).write_text(self.text)
            return ""
        return run_python(self.text, space) if self.kind == "python" else run_console(self.text)


def blocks(page: Path) -> list[Block]:
    """The blocks of a page that run."""
    found = [Block(*match.groups()) for match in BLOCK.finditer(page.read_text())]
    return [
        block
        for block in found
        if block.file or block.kind == "python" or (block.kind == "console" and COMMAND.search(block.text))
    ]


RUNNING = [page for page in (ROOT / "README.md", *DOCS) if blocks(page)]


def run_python(text: str, space: dict[str, Any]) -> str:
    """Run a block; return what it prints."""
    with redirect_stdout(io.StringIO()) as printed:
        exec(compile(text, "a block", "exec"), space)
    return printed.getvalue()


def run_console(text: str) -> str:
    """Run the commands of headway in a block; return what they print."""
    printed = ""
    for command in COMMAND.finditer(text.replace("\\\n", " ")):
        given = Path(command["input"]).read_text() if command["input"] else None
        result = CliRunner().invoke(headway, shlex.split(command["arguments"]), input=given, catch_exceptions=False)
        assert result.exit_code == 0, f"{command[0]}\n{result.stderr}"
        assert result.stdout.strip(), command[0]
        if command["output"]:
            Path(command["output"]).write_text(result.stdout)
        else:
            printed += result.stdout
    return printed


def assert_alike(printed: str, said: str) -> None:
    """Equal but for spaces and the last digits of numbers."""
    split = re.compile(r"-?\d+\.\d+(?:e-?\d+)?|[\w]+|[^\w\s]")
    ours, theirs = split.findall(printed), split.findall(said)
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            try:
                assert float(one) == pytest.approx(float(other), rel=0.02, abs=0.001), printed
            except ValueError:
                pytest.fail(f"printed:\n{printed}\nbut the page says:\n{said}\n({one!r} is not {other!r})")
    assert len(ours) == len(theirs), printed


@pytest.fixture(scope="module", autouse=True)
def _further(served: Hub, minilm: Path, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Checkpoints that the pages name besides those of the acceptance tests."""

    def made(model_type: str, task: str, files: dict[str, bytes], **values: Any) -> Path:
        folder = small_checkpoint(tmp_path_factory.mktemp(model_type), model_type, task, **values)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return folder

    labels = {0: "ENTAILMENT", 1: "NEUTRAL", 2: "CONTRADICTION"}
    words = {"vocab.txt": (minilm / "vocab.txt").read_bytes()}
    eyes = {"preprocessor_config.json": b'{"size": {"height": 8, "width": 8}}'}
    llama = checkpoints["meta-llama/Meta-Llama-3-8B-Instruct"]
    letters = {
        "tokenizer.json": (llama / "tokenizer.json").read_bytes(),
        "tokenizer_config.json": b'{"pad_token": "!"}',
    }
    reads = small_config("clip_text_model", vocab_size=300, max_position_embeddings=64)
    served.add("sentence-transformers/all-MiniLM-L6-v2", minilm)
    served.add(
        "typeform/distilbert-base-uncased-mnli",
        made("distilbert", "sequence-classification", words, vocab_size=30522, id2label=labels),
    )
    served.add("google/vit-base-patch16-224", made("vit", "image-classification", eyes))
    compares = made("clip", "zero-shot-image-classification", {**eyes, **letters}, text_config=reads)
    served.add("openai/clip-vit-base-patch32", compares)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """What a page registers is gone after it."""
    base.pipelines()
    registry.families()
    with patch.dict(registry._families), patch.dict(registry._configs), patch.dict(base.PIPELINES):
        yield


@pytest.mark.parametrize("page", RUNNING, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_runs(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("a_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    space = vars(module)
    for block in blocks(page):
        printed = block.run(space)
        if block.prints is not None:
            assert_alike(printed, block.prints)


def test_the_readme_shows_something() -> None:
    assert len(blocks(ROOT / "README.md")) >= 5


def test_the_navigation_holds_every_page() -> None:
    def pages(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [page for part in (entry.values() if isinstance(entry, dict) else entry) for page in pages(part)]

    listed = pages(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"])
    assert sorted(listed) == sorted(str(page.relative_to(ROOT / "docs")) for page in DOCS)
