"""``headway completion``: the script that completes commands, options, tasks and families in a shell."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem, get_completion_class

EXAMPLES = """
\b
Examples:
  headway completion bash > ~/.local/share/bash-completion/completions/headway
  headway completion zsh > ~/.zfunc/_headway
  headway completion fish > ~/.config/fish/completions/headway.fish
"""


@click.command(epilog=EXAMPLES)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print the script that completes `headway` in SHELL."""
    from headway.cli.main import headway

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(headway, {}, "headway", "_HEADWAY_COMPLETE").source())


def families_like(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The families whose names begin with ``incomplete``."""
    from headway.registry import families

    return [CompletionItem(name) for name in families() if name.startswith(incomplete)]
