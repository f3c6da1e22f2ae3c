"""``headway export``: a model as ONNX graphs."""

from __future__ import annotations

from pathlib import Path

import click

from headway.cli.show import as_json

EXAMPLES = """
\b
Examples:
  headway export bert-base-uncased -o onnx/bert --task masked-lm
  headway export gpt2 -o onnx/gpt2 --with-past
  headway export ./my-model -o onnx/mine --json
"""


@click.command(epilog=EXAMPLES)
@click.argument("model")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The folder to write to.")
@click.option("--task", help="The head, as `headway families` names it; by default the one that was saved.")
@click.option("--opset", type=click.IntRange(min=18), help="The version of ONNX' operators.")
@click.option("--with-past", is_flag=True, help="Of a language model, take and give the keys and values of the past.")
@click.option("--check/--no-check", default=True, help="Compare with the model in onnxruntime, at three shapes.")
@click.option("--json", "json_", is_flag=True, help="Print one JSON document.")
def export(
    model: str, output: Path, task: str | None, opset: int | None, with_past: bool, check: bool, json_: bool
) -> None:
    """Write MODEL, a folder or the id of a repo on the hub, as ONNX graphs."""
    from headway.onnx.export import export_onnx

    report = export_onnx(model, output, task=task, opset=opset, with_past=with_past, check=check)
    click.echo(as_json(report.to_dict(), indent=True) if json_ else report)
