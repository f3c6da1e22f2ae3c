"""``headway env``: what a bug report should say."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import click

from headway import __version__
from headway.cli.show import as_json

PACKAGES = ("torch", "tokenizers", "safetensors", "huggingface_hub", "numpy", "jinja2", "click")
SETTINGS = (
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "HF_ENDPOINT",
    "TOKENIZERS_PARALLELISM",
    "CUDA_VISIBLE_DEVICES",
)

EXAMPLES = """
\b
Examples:
  headway env
  headway env --json
"""


@click.command(epilog=EXAMPLES)
@click.option("--json", "json_", is_flag=True, help="Print one JSON document.")
def env(json_: bool) -> None:
    """Show versions, devices and settings, for bug reports."""
    import torch

    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    found = {
        "headway": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: _version(name) for name in PACKAGES},
        "cuda": torch.version.cuda or "none",
        "gpus": ", ".join(gpus) or "none",
        "cpu threads": torch.get_num_threads(),
        **{name: os.environ[name] for name in SETTINGS if name in os.environ},
    }
    if json_:
        click.echo(as_json(found, indent=True))
        return
    width = max(map(len, found))
    for name, value in found.items():
        click.echo(f"{name:<{width}}  {value}")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
