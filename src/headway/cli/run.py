"""``headway run TASK``: one command a task, with the options that its pipeline has."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from headway.cli.show import as_json, table
from headway.errors import InputError, did_you_mean
from headway.pipelines.base import Pipeline, named, names, pipelines

EXAMPLES = """
\b
Examples:
  headway run text-classification "I love this movie!"
  headway run fill-mask --model bert-base-uncased "The capital of France is [MASK]."
  cat reviews.txt | headway run text-classification --jsonl > labels.jsonl
"""


class CountOr(click.ParamType[Any]):
    """A number, or the word that stands for no limit."""

    name = "integer"

    def __init__(self, least: int, word: str) -> None:
        self.least, self.word = least, word

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"INTEGER|{self.word}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        # The word stays as it is: None says that nothing was given.
        return value if value == self.word else click.IntRange(min=self.least).convert(value, param, ctx)


class Tasks(click.Group):
    """A group with a command for each task that there is a pipeline for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(pipelines())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        kind = named(cmd_name)
        return None if kind is None else command(kind, cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and named(args[0]) is None and not args[0].startswith("-"):
            hint = did_you_mean(args[0], names()) or f" There are {', '.join(pipelines())}."
            ctx.fail(f"There is no task {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=Tasks, subcommand_metavar="TASK [OPTIONS] [INPUT]...", epilog=EXAMPLES)
def run() -> None:
    """Run a task on texts or images: those given, those that a file lists, or the lines of stdin.

    Without --model the small model runs that comes with headway for the task: a toy, to try things out.
    """


def command(kind: type[Pipeline], task: str) -> click.Command:
    """The command of a task, under the name that it was called by."""

    def call(**given: Any) -> None:
        _run(kind, task, **given)

    source = "each line is one" if kind.by_line else "the whole is one"
    summary = f"{kind.summary[0].upper()}{kind.summary[1:]}."
    return click.Command(
        kind.task,
        params=[*_common(kind), *_own(kind)],
        callback=call,
        help=f"{summary}\n\nINPUT is the {kind.main}; without any, or with -, stdin is read ({source}).",
        short_help=summary,
    )


def _common(kind: type[Pipeline]) -> list[click.Parameter]:
    whole = "line by line" if kind.by_line else "as one"
    named = click.Option([f"--{kind.main}"], help=f"The {kind.main}, another way to give INPUT.")
    return [
        click.Argument(["inputs"], nargs=-1, metavar="[INPUT]..."),
        *(
            click.Option([f"--{name.replace('_', '-')}", name], required=True, help=_sentence(text))
            for name, text in kind.besides.items()
        ),
        *([named] if kind.besides else []),
        click.Option(
            ["-f", "--file", "files"], multiple=True, type=click.File(encoding="utf-8"), help=f"Read a file, {whole}."
        ),
        click.Option(["-m", "--model"], help="A folder, or the id of a repo on the hub."),
        click.Option(["--revision"], help="Branch, tag or commit of the repo."),
        click.Option(["--device"], help="Where to run, such as cpu or cuda:0."),
        click.Option(["--dtype"], help="The type of the weights; by default as they are stored."),
        click.Option(["--allow-new-head"], is_flag=True, help="Run even if the model was not trained for the task."),
        click.Option(["--json", "json_"], is_flag=True, help="Print one JSON document."),
        click.Option(["--jsonl"], is_flag=True, help="Print one line of JSON for each input, as soon as it is known."),
    ]


def _own(kind: type[Pipeline]) -> list[click.Parameter]:
    """The options of the task's pipeline."""
    found: list[click.Parameter] = []
    for one in dataclasses.fields(kind.Options):
        meta, flag = one.metadata, f"--{one.name.replace('_', '-')}"
        said = one.default not in (None, False, (), "", "best") and meta["kind"]
        shown = f" (default: {one.default})" if said else ""
        text = _sentence(meta["help"] + shown)
        if meta["kind"] is bool:
            found.append(click.Option([f"{flag}/--no-{flag[2:]}", one.name], default=None, help=text))
        elif meta["kind"] is int:
            count = CountOr(meta["least"], meta["none"]) if meta["none"] else click.IntRange(min=meta["least"])
            found.append(click.Option([flag, one.name], type=count, help=text))
        elif meta["kind"] is float:
            found.append(click.Option([flag, one.name], type=click.FLOAT, help=text))
        elif meta["kind"] is list:
            found.append(click.Option([flag, one.name], multiple=True, help=f"{text[:-1]}; may be repeated."))
        elif meta["kind"] is str:
            choice = click.Choice(meta["choices"]) if meta["choices"] else click.STRING
            found.append(click.Option([flag, one.name], type=choice, help=text))
    return found


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _run(
    kind: type[Pipeline],
    task: str,
    inputs: tuple[str, ...],
    files: tuple[Any, ...],
    json_: bool,
    jsonl: bool,
    **given: Any,
) -> None:
    if json_ and jsonl:
        raise click.UsageError("--json and --jsonl exclude each other.")
    besides = {name: given.pop(name) for name in kind.besides}
    named = given.pop(kind.main, None) if kind.besides else None
    texts = inputs if named is None else (*inputs, named)
    if not texts and not files and sys.stdin.isatty():
        raise click.UsageError(f"There is no input: give the {kind.main}, name a --file, or pipe it in.")
    items = (kind.item(text, **besides) for text in _texts(kind, texts, files))
    run, options = _pipeline(kind, task, given)
    if len(texts) == 1 and texts != ("-",) and not files:
        answer = run(next(items), **options)
        click.echo(as_json(answer, indent=json_) if json_ or jsonl else table(run.table(answer)))
    elif jsonl:
        for answer in run(items, **options):
            click.echo(as_json(answer))
    else:
        known = list(items)
        if not known:
            raise click.UsageError("There is no input: what was read holds no text.")
        answers = run(known, **options)
        click.echo(as_json(answers, indent=True) if json_ else table(_rows(run, known, answers)))


def _pipeline(kind: type[Pipeline], task: str, given: dict[str, Any]) -> tuple[Pipeline, dict[str, Any]]:
    """The pipeline, and the options that its calls are given: those that were said."""
    from headway.pipelines.load import pipeline

    fields = {one.name: one for one in dataclasses.fields(kind.Options)}
    said = {name: value for name, value in given.items() if value is not None and value != ()}
    options = {name: _value(fields[name], value) for name, value in said.items() if name in fields}
    load: dict[str, Any] = {name: value for name, value in said.items() if name not in fields}
    # Once for the choice of a small model, and once more since answers are shaped by what a call says.
    return pipeline(task, **load, **options), options


def _value(one: dataclasses.Field[Any], given: Any) -> Any:
    """An option as the pipeline takes it: of several texts, one alone is a text where that is allowed."""
    if given == one.metadata["none"]:
        return None
    return given[0] if isinstance(given, tuple) and len(given) == 1 and str(one.type).startswith("str |") else given


def _texts(kind: type[Pipeline], texts: Sequence[str], files: Sequence[Any]) -> Iterator[str]:
    """The inputs, in the order given: arguments, then files; stdin where there are none, and for ``-``."""
    for text in texts or (() if files else ("-",)):
        if text == "-":
            yield from _read(sys.stdin, "stdin", kind.by_line)
        else:
            yield text
    for file in files:
        yield from _read(file, file.name, kind.by_line)


def _read(file: Any, name: str, by_line: bool) -> Iterator[str]:
    try:
        texts: Iterable[str] = file if by_line else (file.read(),)
        yield from (text.strip() for text in texts if text.strip())
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not text in UTF-8 (byte {error.start}); convert it first.") from None


def _rows(run: Pipeline, items: Sequence[Any], answers: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """The rows of several answers, each beside the input that it belongs to."""
    for item, answer in zip(items, answers, strict=True):
        text = item if isinstance(item, str) else item[run.main]
        for number, row in enumerate(run.table(answer) or [{}]):
            yield {run.main: "" if number else text, **row}
