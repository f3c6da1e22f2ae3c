"""``headway inspect``: what a checkpoint is."""

from __future__ import annotations

import click

from headway.cli.options import place
from headway.cli.show import as_json

EXAMPLES = """
\b
Examples:
  headway inspect bert-base-uncased
  headway inspect ./my-model --json
  headway inspect some/large-model --tokens 32768 --rows 8
"""


@click.command(epilog=EXAMPLES)
@click.argument("model")
@place
@click.option(
    "--tokens", type=click.IntRange(min=1), default=4096, show_default=True, help="Length of a cache's texts."
)
@click.option("--rows", type=click.IntRange(min=1), default=1, show_default=True, help="Texts of a cache.")
@click.option("--variant", help="Look at model.VARIANT.safetensors.")
@click.option("--json", "json_", is_flag=True, help="Print one JSON document.")
def inspect(model: str, tokens: int, rows: int, variant: str | None, json_: bool, **where: str | None) -> None:
    """Show what MODEL is: a folder, or the id of a repo on the hub.

    Its config, the headers of its weights and its small files are read; of weights on the hub nothing is downloaded.
    """
    from headway.inspection import inspect_model

    found = inspect_model(model, tokens=tokens, rows=rows, variant=variant, **where)
    click.echo(as_json(found.to_dict(), indent=True) if json_ else str(found))
