"""``headway tasks`` and ``headway families``: what there is."""

from __future__ import annotations

import click

from headway.cli.show import as_json, bold, table


@click.command()
@click.option("--json", "json_", is_flag=True, help="Print one JSON document.")
def tasks(json_: bool) -> None:
    """List the tasks that `headway run` and `pipeline` know."""
    from headway.embedded import folder
    from headway.pipelines.base import pipelines

    known = pipelines()
    if json_:
        found = {
            task: {"aliases": kind.aliases, "summary": kind.summary, "model": kind.auto, "embedded": bool(folder(task))}
            for task, kind in known.items()
        }
        click.echo(as_json(found, indent=True))
        return
    click.echo(
        table(
            {"task": task, "gives": kind.summary, "also called": ", ".join(kind.aliases), "loads": kind.auto}
            for task, kind in known.items()
        )
    )


@click.command()
@click.option("--json", "json_", is_flag=True, help="Print one JSON document.")
def families(json_: bool) -> None:
    """List the families of models and the heads that each takes."""
    from headway.models.plan import tasks_of
    from headway.registry import families as registered
    from headway.tasks import TASKS

    takes = {name: tasks_of(family) for name, family in registered().items()}
    if json_:
        click.echo(as_json({name: list(heads) for name, heads in takes.items()}, indent=True))
        return
    heads = [head for head in TASKS if any(head in taken for taken in takes.values())]
    width = max(map(len, takes))
    # The names of the heads are too wide for columns, so they are numbered.
    click.echo(bold("heads"))
    for number, head in enumerate(heads, 1):
        click.echo(f"{number:>4}  {head}")
    click.echo(bold(f"\n{'family':<{width}}" + "".join(f"{number:>4}" for number in range(1, len(heads) + 1))))
    for name, taken in takes.items():
        click.echo(f"{name:<{width}}" + "".join("   x" if head in taken else "   ." for head in heads))
