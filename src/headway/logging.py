"""How much headway says: the log and the bars, as code of the field switches them by one module."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from headway.errors import InputError, did_you_mean
from headway.progress import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

__all__ = [
    "disable_progress_bar",
    "enable_progress_bar",
    "get_logger",
    "get_verbosity",
    "is_progress_bar_enabled",
    "set_verbosity",
    "set_verbosity_debug",
    "set_verbosity_error",
    "set_verbosity_info",
    "set_verbosity_warning",
]

LEVELS = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error", "critical")}


def set_verbosity(level: int | str) -> None:
    """Let the logger ``headway`` pass on records of ``level`` and above.

    What a program does with them is for its logging to say; where it has set up none, they are printed on stderr.

    Raises:
        InputError: there is no such level.
    """
    if level not in (*LEVELS, *LEVELS.values()):
        raise InputError(f"{level!r} is no level of a log.{did_you_mean(str(level), LEVELS)} Use {', '.join(LEVELS)}.")
    logger = logging.getLogger("headway")
    logger.setLevel(LEVELS[level] if isinstance(level, str) else level)
    if logger.level < logging.WARNING and not logger.hasHandlers():  # Python shows warnings by itself, and no less
        logger.addHandler(logging.StreamHandler())


def get_logger(name: str | None = None) -> logging.Logger:
    """The logger of that name, headway's own where there is none."""
    return logging.getLogger(name or "headway")


@contextmanager
def silenced(*names: str) -> Iterator[None]:
    """Within, other libraries' loggers of these names show errors alone, and no warning is given."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def get_verbosity() -> int:
    """The level from which on records are passed on."""
    return logging.getLogger("headway").getEffectiveLevel()


def set_verbosity_debug() -> None:
    """Show everything."""
    set_verbosity("debug")


def set_verbosity_info() -> None:
    """Show what is done as well."""
    set_verbosity("info")


def set_verbosity_warning() -> None:
    """Show warnings and errors, as by default."""
    set_verbosity("warning")


def set_verbosity_error() -> None:
    """Show errors alone."""
    set_verbosity("error")
