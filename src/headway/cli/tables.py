"""``headway tasks`` and ``headway families``: what there is."""

from __future__ import annotations

import click

from headway.cli.completion import families_like
from headway.cli.show import as_json, bold, table

TASKS_EXAMPLES = """
\b
Examples:
  headway tasks
  headway tasks --json
"""
FAMILIES_EXAMPLES = """
\b
Examples:
  headway families
  headway families bert
  headway families --json
"""


@click.command(epilog=TASKS_EXAMPLES)
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


@click.command(epilog=FAMILIES_EXAMPLES)
@click.argument("family", required=False, shell_complete=families_like)
@click.option("--json", "json_", is_flag=True, help="Print one JSON document.")
def families(family: str | None, json_: bool) -> None:
    """List the families of models and the heads that each takes; or the classes of one FAMILY."""
    from headway.models.classes import class_name
    from headway.models.plan import tasks_of
    from headway.registry import families as registered
    from headway.registry import find_family
    from headway.tasks import TASKS

    if family is not None:
        one = find_family(family)
        classes = {task: class_name(one, task) for task in tasks_of(one)}
        if json_:
            click.echo(as_json(classes, indent=True))
        else:
            click.echo(table({"head": task, "class": name} for task, name in classes.items()))
        return
    takes = {name: tasks_of(one) for name, one in registered().items()}
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
