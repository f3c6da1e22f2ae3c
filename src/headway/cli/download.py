"""``headway download``: the files of a checkpoint, in the hub's cache or in a folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import click

from headway.cli.options import place
from headway.cli.show import as_json

EXAMPLES = """
\b
Examples:
  headway download bert-base-uncased
  headway download some/model --revision v2 --to ./model
"""


@click.command(epilog=EXAMPLES)
@click.argument("model")
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), help="A folder, not the cache.")
@place
@click.option("--variant", help="Take model.VARIANT.safetensors.")
@click.option("--force", is_flag=True, help="Take the newest files, whatever the cache holds.")
@click.option("--json", "json_", is_flag=True, help="Print one JSON document.")
def download(model: str, folder: Path | None, variant: str | None, force: bool, json_: bool, **where: Any) -> None:
    """Download the files of MODEL that are needed, and print where they are.

    Of weights in several forms the one that headway loads is taken: safetensors before pickles.
    """
    from headway.io.atomic import atomic_folder
    from headway.io.hub import locate
    from headway.io.needed import beside_weights, weights_of

    source = locate(model, force_download=force, **where)
    names = (*beside_weights(source), *weights_of(source, variant))
    paths = {name: source.require(name) for name in names}
    target = paths[source.config_name].parent if source.config_name in paths else next(iter(paths.values())).parent
    if folder is not None:
        with atomic_folder(folder) as draft:
            for name, path in paths.items():
                place_file(path, draft / name)
        target = folder
    click.echo(as_json({"path": str(target), "files": sorted(names)}, indent=True) if json_ else str(target))


def place_file(path: Path, target: Path) -> None:
    """Copy ``path`` to ``target``, as a new file: what lies there may be another folder's, by a hard link."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copyfile(os.path.realpath(path), target)
