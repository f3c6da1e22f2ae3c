"""How far long work is, on stderr: one kind of bar, and the switch for all of them."""

from __future__ import annotations

import sys
from typing import Any

# Seconds after which a bar is shown.
LONG = 3


def progress(name: str, total: int, shown: bool = True) -> Any:
    """A bar that is shown where stderr is a terminal and the work takes long; ``update`` counts what is done."""
    from huggingface_hub.utils.tqdm import tqdm

    return tqdm(total=total, desc=name, disable=not (shown and sys.stderr.isatty()), delay=LONG, leave=False)


def disable_progress_bar() -> None:
    """Show no bars, those of downloads included; ``HF_HUB_DISABLE_PROGRESS_BARS=1`` does the same."""
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()


def enable_progress_bar() -> None:
    """Show bars again."""
    from huggingface_hub.utils.tqdm import enable_progress_bars

    enable_progress_bars()


def is_progress_bar_enabled() -> bool:
    """Are bars shown where work takes long?"""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled

    return not are_progress_bars_disabled()
