"""``headway chat``: talk with a model in the terminal."""

from __future__ import annotations

import sys
from typing import Any

import click

from headway.cli.options import place
from headway.cli.show import as_json, bold
from headway.errors import HeadwayError, InputError

EXAMPLES = """
\b
Examples:
  headway chat ./my-model
  headway chat some/model --system "Answer in one sentence." --temperature 0.7
  echo "What is a token?" | headway chat some/model --max-new-tokens 100
"""
HELP = "/reset starts anew, /exit leaves; end a line with \\ to go on in the next."


@click.command(epilog=EXAMPLES)
@click.argument("model")
@place
@click.option("--system", help="What the model is told before the first message.")
@click.option("--max-new-tokens", type=click.IntRange(min=1), default=512, show_default=True, help="Of one answer.")
@click.option("--temperature", type=click.FloatRange(min=0), help="0 takes the likeliest token each time.")
@click.option("--top-p", type=click.FloatRange(min=0, max=1), help="Draw from the likeliest tokens of this share.")
@click.option("--device", help="Where to run, such as cpu or cuda:0.")
@click.option("--dtype", default="auto", help="The type of the weights; by default as they are stored.")
@click.option("--quantize", type=click.Choice(("int8", "int4")), help="Round the weights to 8 or 4 bits.")
@click.option("--json", "json_", is_flag=True, help="Print the answer to stdin as a JSON document.")
def chat(model: str, system: str | None, json_: bool, **options: Any) -> None:
    """Talk with MODEL, a folder or a hub id that writes text and has a chat template.

    Where stdin is no terminal, it is one message, and the answer is printed.
    """
    talk = _talk(model, system, options)
    if not _is_terminal():
        message = sys.stdin.read().strip()
        if not message:
            raise click.UsageError("There is no message: stdin is empty.")
        if json_:
            click.echo(as_json({"answer": talk.say(message, stream=False)}, indent=True))
        else:
            talk.say(message)
        return
    if json_:
        raise click.UsageError("--json answers one message from stdin; pipe it in.")
    click.echo(HELP, err=True)
    while (message := _read()) is not None:
        if message in ("/exit", "/quit"):
            return
        if message == "/reset":
            talk.reset()
        elif message.startswith("/"):
            click.echo(f"There is no command {message.split()[0]}. {HELP}", err=True)
        elif message:
            _answer(talk, message)


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _answer(talk: Any, message: str) -> None:
    """Answer; what goes wrong with one message ends no conversation."""
    try:
        talk.say(message)
    except KeyboardInterrupt:
        talk.forget_last()
        click.echo("\nstopped", err=True)
    except HeadwayError as error:
        talk.forget_last()
        click.echo(f"Error: {error}", err=True)


def _read() -> str | None:
    """One message; None at the end of the input."""
    lines: list[str] = []
    try:
        while True:
            line = input(bold("> ") if not lines else "  ")
            lines.append(line.removesuffix("\\"))
            if not line.endswith("\\"):
                return "\n".join(lines).strip()
    except (EOFError, KeyboardInterrupt):
        click.echo("", err=True)
        return None


def _talk(name: str, system: str | None, options: dict[str, Any]) -> Any:
    from headway.auto.model import AutoModelForCausalLM
    from headway.auto.tokenizer import AutoTokenizer
    from headway.generation.talk import Talk

    place = {key: options[key] for key in ("revision", "subfolder")}
    load = {key: options[key] for key in ("dtype", "quantize") if options[key] is not None}
    tokenizer = AutoTokenizer.from_pretrained(name, **place)
    if tokenizer.chat_template is None:
        raise InputError(
            f"{name!r} has no chat template, so it was not trained to talk; use `headway run text-generation`."
        )
    model = AutoModelForCausalLM.from_pretrained(name, device_map=options["device"] or "auto", **load, **place)
    if model.load_report.new:
        raise InputError(f"{name!r} has no trained head that writes text.")
    settings: dict[str, Any] = {"max_new_tokens": options["max_new_tokens"]}
    if options["temperature"] == 0:
        settings["do_sample"] = False
    elif options["temperature"] is not None or options["top_p"] is not None:
        settings["do_sample"] = True
        settings |= {key: options[key] for key in ("temperature", "top_p") if options[key] is not None}
    return Talk(model, tokenizer, system=system, **settings)
