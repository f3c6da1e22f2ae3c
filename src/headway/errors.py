"""Every exception that headway raises on purpose, as one tree.

Each class also derives from the built-in that users of such libraries already catch (``OSError`` for files,
``ValueError`` for arguments, ``ImportError`` for extras), so existing ``except`` clauses keep working.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class HeadwayError(Exception):
    """Root of all errors raised by headway."""


class ConfigError(HeadwayError, ValueError):
    """A configuration is unreadable, contradictory or of an unknown kind."""


class InputError(HeadwayError, ValueError):
    """An argument of a call has the wrong shape, type or range."""


class CheckpointError(HeadwayError, OSError):
    """A checkpoint, or a file of it, is missing, unreachable or damaged."""


class WeightsError(CheckpointError):
    """The tensors of a checkpoint cannot be read or do not fit the network."""


class TokenizerError(HeadwayError, ValueError):
    """Tokenizer files are missing or a tokenizer was asked for something it cannot do."""


class ExportError(HeadwayError, RuntimeError):
    """A model cannot be written in another format, or what was written gives something else."""


class NonFiniteError(HeadwayError, ArithmeticError):
    """A loss or a gradient is not a finite number."""


class MissingExtraError(HeadwayError, ImportError):
    """An optional dependency is needed; the message names the extra to install."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest of ``known``, or an empty string if none is near."""
    near = get_close_matches(str(name), list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
