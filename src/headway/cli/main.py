"""``headway``: the group of commands, each imported when it is called."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from headway import __version__
from headway.errors import HeadwayError, did_you_mean

# Commands by name: the module that holds each, and its line in the list, so that the list imports none of them.
COMMANDS = {
    "run": ("headway.cli.run", "Run a task on texts or images."),
    "train": ("headway.cli.train", "Train a checkpoint for a task on your data."),
    "attention": ("headway.cli.attention", "Draw what a model attends to in a text."),
    "inspect": ("headway.cli.inspect", "Show what a checkpoint is, before anything is downloaded."),
    "compare": ("headway.cli.compare", "Do two checkpoints give the same outputs?"),
    "chat": ("headway.cli.chat", "Talk with a model."),
    "convert": ("headway.cli.convert", "Write a checkpoint as safetensors, in another dtype or in fewer bits."),
    "download": ("headway.cli.download", "Download the files of a checkpoint that are needed."),
    "export": ("headway.cli.export", "Write a model as ONNX graphs."),
    "tasks": ("headway.cli.tables", "List the tasks."),
    "families": ("headway.cli.tables", "List the families of models and the heads that they take."),
    "completion": ("headway.cli.completion", "Print the script that completes commands in a shell."),
    "env": ("headway.cli.env", "Show versions and settings, for bug reports."),
}

EXAMPLES = """
\b
Examples:
  headway run text-classification "I love this movie!"
  headway run ner --aggregation-strategy simple "My name is Wolfgang and I live in Berlin"
  headway run question-answering --question "Where does Wolfgang live?" --file letter.txt
  headway run image-classification --model google/vit-base-patch16-224 photo.jpg
  headway run fill-mask --model bert-base-uncased --json "The capital of France is [MASK]."
  headway train text-classification --model bert-base-uncased --train reviews.csv -o reviews
  cat reviews.txt | headway run text-classification --jsonl > labels.jsonl
  headway inspect bert-base-uncased
  headway chat some/model
"""


class Commands(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"There is no command {args[0]!r}.{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=Commands, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="headway %(version)s")
@click.option("-v", "--verbose", is_flag=True, help="Show the log on stderr.")
@click.pass_context
def headway(ctx: click.Context, verbose: bool) -> None:
    """Any pretrained transformer with any head, from the command line."""
    ctx.with_resource(_log(verbose))


@contextmanager
def _log(verbose: bool) -> Iterator[None]:
    """Show the log, or keep it silent: an error says in one line what the user needs to know."""
    logger, handler = logging.getLogger("headway"), logging.StreamHandler() if verbose else logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO if verbose else logging.ERROR)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        logger.propagate = propagate


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and leave: 0 if all went well, 1 with one line on stderr if not, 2 if it was misused."""
    try:
        # What a command leaves with is returned here; those that only end well return None.
        code = headway.main(arguments, prog_name="headway", standalone_mode=False)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except HeadwayError as error:
        click.echo(f"Error: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader has left, as `head` does; what is still in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(code or 0)
