"""``headway convert``: a checkpoint as safetensors, in another dtype, in other shards, or in fewer bits."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from headway.cli.options import place
from headway.cli.show import as_json
from headway.errors import InputError

DTYPES = ("float32", "float16", "bfloat16")
EXAMPLES = """
\b
Examples:
  headway convert ./old-model ./new-model
  headway convert some/model ./half --dtype bfloat16 --max-shard-size 2GB
  headway convert some/model ./small --quantize int8
  headway convert my-run/checkpoint-500 ./my-model
"""


@click.command(epilog=EXAMPLES)
@click.argument("source")
@click.argument("target", type=click.Path(file_okay=False, path_type=Path))
@click.option("--dtype", type=click.Choice(DTYPES), help="The type of the weights; by default as they are.")
@click.option("--max-shard-size", default="50GB", show_default=True, help="Bytes of one file at most, such as 5GB.")
@click.option("--quantize", type=click.Choice(("int8", "int4")), help="Round weights to 8 or 4 bits.")
@place
@click.option("--variant", help="Read model.VARIANT.safetensors.")
@click.option("--json", "json_", is_flag=True, help="Print one JSON document.")
def convert(source: str, target: Path, json_: bool, **options: Any) -> None:
    """Write the checkpoint SOURCE, a folder or a hub id, to the folder TARGET as safetensors.

    Its tokenizer and its other files come along. TARGET is written whole or not at all. A checkpoint of which every
    process of a training wrote its share becomes one like any other.
    """
    files = convert_checkpoint(source, target, **options)
    click.echo(as_json({"path": str(target), "files": files}, indent=True) if json_ else str(target))


def convert_checkpoint(
    name: str,
    target: Path,
    *,
    dtype: str | None = None,
    max_shard_size: str = "50GB",
    quantize: str | None = None,
    variant: str | None = None,
    **where: Any,
) -> list[str]:
    """Convert a checkpoint as ``headway convert`` does; returns the names of the files written.

    Tensors keep their names, so a model of any family is converted; ``quantize`` alone needs one that is known.
    """
    from headway.cli.download import place_file
    from headway.io.atomic import atomic_folder
    from headway.io.hub import locate
    from headway.io.needed import beside_weights
    from headway.training.checkpoint import SHARES

    source, stored = locate(name, **where), name
    with ExitStack() as stack:
        made = stack.enter_context(_room(target))
        if (Path(name) / SHARES).is_dir():
            stored = stack.enter_context(_room(target))
            _gather(Path(name), stored)
        if quantize is None:
            _rewrite(locate(stored, **where), Path(made), dtype, max_shard_size, variant)
        else:
            _round(stored, Path(made), dtype, max_shard_size, quantize, {"variant": variant, **where})
        written = {path.name: path for path in Path(made).iterdir()}
        others = {file: source.require(file) for file in beside_weights(source) if file not in written}
        with atomic_folder(target) as draft:
            _clear(draft)
            for file, path in others.items():
                place_file(path, draft / file)
            for file, path in written.items():
                (draft / file).unlink(missing_ok=True)
                path.rename(draft / file)
    return sorted((*others, *written))


def _room(target: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder beside ``target``, for a while."""
    parent = target.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=parent, prefix=f".{target.name}.converting-")


def _clear(draft: Path) -> None:
    """Take the weights out that the target held."""
    from headway.io.needed import is_weights

    for path in draft.iterdir():
        if path.is_file() and is_weights(path.name):
            path.unlink()


def _gather(checkpoint: Path, folder: str) -> None:
    """The model of which processes wrote their shares."""
    from headway.training.shared import whole_model

    whole_model(checkpoint).save_pretrained(folder)


def _rewrite(source: Any, folder: Path, dtype: str | None, size: str, variant: str | None) -> None:
    """The tensors of ``source`` under their names, and its config."""
    import torch

    from headway.io.save import save_weights
    from headway.io.weights import open_weights

    weights = open_weights(source, variant=variant)
    config = source.read_json(source.config_name)
    tensors = dict(weights)
    if dtype is not None:
        if config is not None and config.get("quantization_config"):
            raise InputError(f"{source.name} holds quantised weights, which --dtype cannot change; leave it out.")
        tensors = {name: it.to(getattr(torch, dtype)) if it.is_floating_point() else it for name, it in tensors.items()}
    save_weights(tensors, folder, max_shard_size=size)
    if config is not None and dtype is not None:
        config.pop("torch_dtype", None)
        (folder / "config.json").write_text(json.dumps({**config, "dtype": dtype}, indent=2) + "\n")


def _round(name: str, folder: Path, dtype: str | None, size: str, quantize: str, where: dict[str, Any]) -> None:
    """The model of ``name`` with rounded weights."""
    from headway.cli.load import load_as_saved

    model = load_as_saved(name, dtype=dtype or "auto", quantize=quantize, **where)
    model.save_pretrained(folder, max_shard_size=size)
