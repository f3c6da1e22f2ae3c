"""The JSON schema of a Python function, as chat templates take their tools."""

import inspect
import re
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from headway.errors import InputError

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def tool_schema(tool: Mapping[str, Any] | Callable[..., Any]) -> Mapping[str, Any]:
    """Return a tool as a dictionary: a function becomes the schema of its type hints and Google-style docstring.

    Raises InputError if an argument of the function has no type hint or no description.
    """
    if isinstance(tool, Mapping):
        return tool
    if not callable(tool) or not hasattr(tool, "__name__"):
        raise InputError(f"A tool must be a function or a JSON schema as a dictionary, not {type(tool).__name__}.")
    summary, described, returned = _docstring(tool)
    hints = get_type_hints(tool)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, parameter in inspect.signature(tool).parameters.items():
        if name not in hints or name not in described:
            raise InputError(
                f"The tool {tool.__name__!r} must give its argument {name!r} a type hint and a line under 'Args:' in "
                "its docstring."
            )
        text, choices = _choices(described[name])
        properties[name] = {**_schema(hints[name], tool.__name__), **choices, "description": text}
        if parameter.default is parameter.empty:
            required.append(name)
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        parameters["required"] = required
    function: dict[str, Any] = {"name": tool.__name__, "description": summary, "parameters": parameters}
    if "return" in hints and hints["return"] is not type(None):
        function["return"] = _schema(hints["return"], tool.__name__)
        if returned:
            function["return"]["description"] = returned
    return {"type": "function", "function": function}


def _schema(hint: Any, tool: str) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return {}
    if hint in _TYPES:
        return {"type": _TYPES[hint]}
    if origin is Literal:
        return {**_schema(type(arguments[0]), tool), "enum": list(arguments)}
    if origin in (Union, types.UnionType):
        inner = [_schema(argument, tool) for argument in arguments if argument is not type(None)]
        plain = [part["type"] for part in inner if part.keys() == {"type"}]
        union = (
            inner[0] if len(inner) == 1 else {"type": sorted(plain)} if len(plain) == len(inner) else {"anyOf": inner}
        )
        return {**union, "nullable": True} if type(None) in arguments else union
    if hint in (list, tuple) or origin in (list, tuple):
        if origin is tuple and Ellipsis not in arguments:
            return {"type": "array", "prefixItems": [_schema(argument, tool) for argument in arguments]}
        return {"type": "array", **({"items": _schema(arguments[0], tool)} if arguments else {})}
    if hint is dict or origin is dict:
        values = {"additionalProperties": _schema(arguments[1], tool)} if arguments else {}
        return {"type": "object", **values}
    raise InputError(
        f"The tool {tool!r} has the type hint {hint!r}, which JSON cannot say: use str, int, list, dict..."
    )


def _docstring(tool: Callable[..., Any]) -> tuple[str, dict[str, str], str]:
    """Return what a docstring says in all, of each argument, and of what is returned."""
    text = inspect.getdoc(tool)
    if not text:
        raise InputError(f"The tool {tool.__name__!r} must have a docstring, which tells the model what it does.")
    summary, *sections = re.split(r"^(Args|Returns|Raises):[ \t]*$", text, flags=re.MULTILINE)
    bodies = dict(zip(sections[::2], sections[1::2], strict=True))
    arguments: dict[str, str] = {}
    for entry in re.split(r"\n(?=[ \t]{1,4}\w)", bodies.get("Args", "")):
        if match := re.match(r"\s*(\w+)\s*(?:\([^)]*\))?:\s*(.*)", entry, flags=re.DOTALL):
            arguments[match[1]] = " ".join(match[2].split())
    return summary.strip(), arguments, " ".join(bodies.get("Returns", "").split())


def _choices(description: str) -> tuple[str, dict[str, Any]]:
    """Split off the values that a description allows, written as ``(choices: ["a", "b"])`` at its end."""
    match = re.search(r"\s*\(choices:\s*\[(.*?)\]\)\s*$", description)
    if match is None:
        return description, {}
    return description[: match.start()], {"enum": [word.strip().strip("\"'") for word in match[1].split(",")]}
