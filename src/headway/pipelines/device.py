"""Where a pipeline's model runs."""

from __future__ import annotations

from typing import Any

from headway.errors import InputError


def place_of(device: Any) -> Any:
    """The torch device that is meant: its name, a GPU's number (-1 is the CPU), or "auto", a GPU where there is one.

    Raises:
        InputError: there is no such device.
    """
    import torch

    if device is None or isinstance(device, torch.device):
        return device
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if isinstance(device, int):
        device = "cpu" if device < 0 else f"cuda:{device}"
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        raise InputError(f"device={device!r} is no device; use 'cpu', 'cuda:0' or a number.") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device={device!r} is not there: torch sees no GPU on this machine.")
    return found
