"""What all tests share: one thread, no network beyond the loopback interface, and small models of every family."""

import os
import socket
import tempfile
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import huggingface_hub.constants  # noqa: F401 - before a test switches the environment to offline, for tests of the hub
import pytest
import torch

torch.set_num_threads(1)

_connect = socket.socket.connect


def _connect_to_loopback(self: socket.socket, address: Any) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(
        ("127.", "::1", "localhost")
    ):
        raise OSError(f"tests have no network, and one asked for {address}")
    _connect(self, address)


socket.socket.connect = _connect_to_loopback  # type: ignore[method-assign]


@pytest.fixture(scope="session", autouse=True)
def _room() -> Iterator[None]:
    """Checkpoints that tests share go with the session: they are gigabytes."""
    with tempfile.TemporaryDirectory(prefix="headway-tests-", ignore_cleanup_errors=True) as room:
        tempfile.tempdir = room
        yield
        tempfile.tempdir = None


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Tests draw the same numbers whatever ran before them."""
    torch.manual_seed(0)
