"""How far long work is, on stderr."""

from __future__ import annotations

import sys
from typing import Any

# Seconds after which a bar is shown.
LONG = 3


def progress(task: str, total: int) -> Any:
    """A bar that is shown where stderr is a terminal and the work takes long; ``update`` counts rows as done."""
    from huggingface_hub.utils.tqdm import tqdm

    return tqdm(total=total, desc=task, disable=not sys.stderr.isatty(), delay=LONG, leave=False)
