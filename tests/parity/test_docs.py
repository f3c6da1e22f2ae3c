"""The page of families says what the registry holds."""

import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).parents[2] / "tools"


def test_the_page_of_families_is_fresh() -> None:
    """In a process of its own: other tests register families."""
    code = "import families as page; assert page.PAGE.read_text() == page.page(), 'run python tools/families.py'"
    subprocess.run([sys.executable, "-c", code], cwd=TOOLS, check=True)
