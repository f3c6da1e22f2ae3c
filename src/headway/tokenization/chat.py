"""Chat templates: from messages to the prompt that a model was trained on.

A template is a program from an untrusted file, so it runs in jinja2's immutable sandbox.
"""

import json
import secrets
from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from headway.errors import InputError, TokenizerError, did_you_mean

if TYPE_CHECKING:
    from jinja2 import Environment, Template

Message = Mapping[str, Any]
Templates = str | dict[str, str] | None

# The variables that `{% generation %}` prints. They are undefined, and print nothing, unless a mask is asked for.
_OPEN, _CLOSE = "headway_generation_starts", "headway_generation_ends"


class Prompt(str):
    """A rendered chat: a string that holds its special tokens already, so that calling the tokenizer adds no others."""

    __slots__ = ()


class Rendered(NamedTuple):
    """A prompt and the spans of its characters that the assistant wrote (what `{% generation %}` encloses)."""

    text: str
    spans: list[tuple[int, int]]


def choose(templates: Templates, wanted: str | None, has_tools: bool) -> str:
    """Return the template to use: the one ``wanted`` by name or as text, else the one for tools, else the default.

    Raises TokenizerError if there is none, with the names that there are.
    """
    if isinstance(templates, dict) and wanted is not None:
        if wanted in templates:
            return templates[wanted]
        if not any(mark in wanted for mark in ("{{", "{%", "\n", " ")):
            near = did_you_mean(wanted, templates)
            raise TokenizerError(f"There is no chat template {wanted!r}: there are {', '.join(templates)}.{near}")
    if wanted is not None:
        return wanted
    if isinstance(templates, str):
        return templates
    if not templates:
        raise TokenizerError(
            "This tokenizer has no chat template: pass chat_template=, or set tokenizer.chat_template to the template "
            "that its model was trained on."
        )
    if has_tools and "tool_use" in templates:
        return templates["tool_use"]
    if "default" not in templates:
        raise TokenizerError(
            f"This tokenizer has no default chat template: pass chat_template= one of {', '.join(templates)}."
        )
    return templates["default"]


def as_conversations(conversation: Any) -> tuple[list[list[Message]], bool]:
    """Return a list of conversations and whether it was a batch; InputError unless each is a list of messages."""
    if isinstance(conversation, str | Mapping) or not hasattr(conversation, "__iter__"):
        raise InputError(
            "conversation must be a list of messages such as {'role': 'user', 'content': 'Hello'}, not "
            f"{type(conversation).__name__}."
        )
    messages = list(conversation)
    is_batch = bool(messages) and not isinstance(messages[0], Mapping)
    conversations = [list(chat) for chat in messages] if is_batch else [messages]
    for chat in conversations:
        if not chat:
            raise InputError("A conversation must have at least one message.")
        for message in chat:
            if not isinstance(message, Mapping) or "role" not in message:
                raise InputError(f"A message must be a dictionary with 'role' and 'content', not {message!r}.")
    return conversations, is_batch


def render(
    template: str,
    messages: list[Message],
    variables: Mapping[str, Any],
    continue_final: bool | str = False,
    find_spans: bool = False,
) -> Rendered:
    """Return the prompt for a conversation, with the assistant's spans if ``find_spans``.

    ``continue_final`` leaves the final message open: the prompt ends where its content ends, or the field it names.
    Raises TokenizerError with the reason if the template fails.
    """
    compiled = _compile(template)
    marks = {_OPEN: f"<{secrets.token_hex(8)}>", _CLOSE: f"</{secrets.token_hex(8)}>"} if find_spans else {}
    variables = {**variables, **marks}
    text = _run(compiled, messages, variables)
    if continue_final:
        text = _open_end(compiled, messages, variables, text, "content" if continue_final is True else continue_final)
    return _unmark(text, marks[_OPEN], marks[_CLOSE]) if find_spans else Rendered(text, [])


def variables_of(template: str) -> set[str]:
    """Return the names that the template reads; TokenizerError if it is not a template."""
    from jinja2 import meta

    _compile(template)
    return meta.find_undeclared_variables(_environment().parse(template))


def _run(compiled: "Template", messages: list[Message], variables: Mapping[str, Any]) -> str:
    try:
        return compiled.render(messages=messages, **variables)
    except Exception as error:  # whatever the template does wrong, it is the template's fault
        raise TokenizerError(f"The chat template failed: {_sentence(error)}") from error


def _open_end(
    compiled: "Template", messages: list[Message], variables: Mapping[str, Any], whole: str, field: str
) -> str:
    """Return the prompt cut where the final message's ``field`` ends, which a mark appended to it shows."""
    mark = f"<{secrets.token_hex(8)}>"
    marked = _run(compiled, [*messages[:-1], _append(messages[-1], field, mark)], variables)
    cut = marked.rfind(mark)
    if cut < 0:
        raise TokenizerError(
            f"The chat template does not print the {field!r} of the final message, so it cannot be continued."
        )
    text = marked[:cut].replace(mark, "")
    # A template that trims contents would have trimmed the white space that the mark protected.
    return text if whole.startswith(text) else text.rstrip()


def _append(message: Message, field: str, mark: str) -> Message:
    marked = deepcopy(dict(message))
    content = marked.get(field)
    if isinstance(content, str):
        marked[field] = content + mark
        return marked
    for part in reversed(content if isinstance(content, list) else []):
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            part["text"] += mark
            return marked
    raise InputError(f"continue_final_message needs a final message with text in {field!r}.")


def _unmark(text: str, start: str, end: str) -> Rendered:
    pieces, spans, length = [], [], 0
    for number, piece in enumerate(text.split(start)):
        inside, _, after = piece.partition(end) if number else ("", "", piece)
        if number:
            spans.append((length, length + len(inside)))
        pieces += [inside, after]
        length += len(inside) + len(after)
    return Rendered("".join(pieces), spans)


@lru_cache(maxsize=64)
def _compile(template: str) -> "Template":
    try:
        return _environment().from_string(template)
    except Exception as error:
        line = getattr(error, "lineno", None)
        where = f" in line {line}" if line else ""
        raise TokenizerError(f"The chat template is not valid{where}: {_sentence(error)}") from error


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}...{% endgeneration %}` encloses what the assistant wrote."""

        tags = {"generation"}  # noqa: RUF012  # jinja2 reads it from the class

        def parse(self, parser: Any) -> list[nodes.Node]:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)

            def printed(name: str) -> nodes.Node:
                return nodes.Output([nodes.Name(name, "load")], lineno=line)

            return [printed(_OPEN), *body, printed(_CLOSE)]

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=options.pop("ensure_ascii", False), **options)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda format: datetime.now().strftime(format)
    return environment


def _sentence(error: Exception) -> str:
    text = (str(error).strip() or type(error).__name__).replace("\n", " ")
    return text if text.endswith((".", "!", "?")) else f"{text}."
