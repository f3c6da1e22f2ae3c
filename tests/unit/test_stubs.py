"""The stub for editors names what there is."""

import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).parents[2] / "tools"


def test_the_stub_is_fresh() -> None:
    """In a process of its own: other tests register families."""
    code = "import stubs; assert stubs.STUB.read_text() == stubs.text(), 'run python tools/stubs.py'"
    subprocess.run([sys.executable, "-c", code], cwd=TOOLS, check=True)
