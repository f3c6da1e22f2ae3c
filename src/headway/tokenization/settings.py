"""What the files beside a vocabulary say: settings, special tokens, chat templates."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tokenizers import AddedToken

from headway.errors import TokenizerError
from headway.io.source import Source
from headway.tokenization.chat import Templates
from headway.tokenization.kinds import GENERIC, Kind, kind_of
from headway.tokenization.special import EXTRA, ROLES, AnyToken, as_added_token

CONFIG_FILE, TOKENS_FILE, TEMPLATE_FILE = "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"
TEMPLATE_FOLDER = "additional_chat_templates"
# What kind of tokenizer it is, where the class must be the general one for transformers to go by tokenizer.json alone.
FAMILY_KEY = "tokenizer_family"
# Of a tokenizer with one vocabulary for each language: the tokenizer.json of the language to translate into.
TARGET_FILE = "target_tokenizer.json"


@dataclass(frozen=True)
class Settings:
    """The settings of a tokenizer.

    ``config`` holds every key of tokenizer_config.json as it was read, to be written back; ``roles`` the special tokens
    by role; ``extra`` those without one; ``added`` the tokens added to the vocabulary, by id. ``family`` is the name by
    which the ``kind`` is known.
    """

    config: Mapping[str, Any]
    roles: Mapping[str, AnyToken | None]
    extra: tuple[AddedToken, ...]
    added: Mapping[int, AddedToken]
    kind: Kind | None = None
    family: str | None = None
    templates: Templates = None


def read_settings(source: Source, overrides: Mapping[str, Any]) -> Settings:
    """Return the settings in ``source`` under the user's ``overrides``; files that are missing say nothing."""
    config = {**(source.read_json(CONFIG_FILE) or {}), **overrides}
    tokens = source.read_json(TOKENS_FILE) or {}
    family = config.get(FAMILY_KEY) or config.get("tokenizer_class")
    kind = kind_of(family)
    if kind is None:
        family = (source.read_json(source.config_name) or {}).get("model_type")
        kind = kind_of(family)
        if kind is not None and config.get("tokenizer_class") in GENERIC:
            kind = replace(kind, specials={})  # a tokenizer of no kind in particular names all its tokens
    settings = settings_of(config, tokens, kind)
    added = dict(settings.added)
    for content, id in (source.read_json("added_tokens.json") or {}).items():
        special = content in {token.content for token in settings.extra} | set(map(_content, settings.roles.values()))
        added.setdefault(id, as_added_token(content, special))
    templates = settings.templates if "chat_template" in overrides else _read_templates(source, config)
    return replace(settings, family=family if kind else None, added=added, templates=templates)


def settings_of(
    config: Mapping[str, Any], tokens: Mapping[str, Any] | None = None, kind: Kind | None = None
) -> Settings:
    """Return the settings that a tokenizer_config.json and a special_tokens_map.json hold."""
    # A role that one file leaves open may be filled by the other.
    said = {**config, **{name: token for name, token in (tokens or {}).items() if config.get(name) is None}}
    added = {
        _id(id): as_added_token(token, special=False) for id, token in config.get("added_tokens_decoder", {}).items()
    }
    flags = {token.content: token for token in added.values()}
    roles: dict[str, AnyToken | None] = {role: said[role] for role in ROLES if role in said}
    extra: list[AnyToken] = []
    for name in (*EXTRA, "model_specific_special_tokens"):
        value = said.get(name) or []
        if isinstance(value, Mapping):
            roles.update(value)
        else:
            extra += value
    roles = {role: flags.get(_content(token), token) for role, token in roles.items()}
    unique = {_content(token): as_added_token(token, special=True) for token in extra}
    return Settings(
        config, roles, tuple(unique.values()), added, kind, templates=_templates_of(config.get("chat_template"))
    )


def _content(token: AnyToken | None) -> str:
    if isinstance(token, Mapping):
        return str(token.get("content"))
    return token.content if isinstance(token, AddedToken) else str(token)


def _id(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise TokenizerError(f"added_tokens_decoder must map ids to tokens, but {text!r} is no id.") from None


def _read_templates(source: Source, config: Mapping[str, Any]) -> Templates:
    """Return the chat templates in ``source``; a file of its own outranks the setting."""
    templates = _templates_of(config.get("chat_template"))
    if path := source.find(TEMPLATE_FILE):
        named = {"default": _text(path)}
        for name in ("tool_use", "rag"):  # names in use: the folders of a hub's repo cannot be listed
            source.find(f"{TEMPLATE_FOLDER}/{name}.jinja")
        for other in sorted((path.parent / TEMPLATE_FOLDER).glob("*.jinja")):
            named[other.stem] = _text(other)
        return named if len(named) > 1 else named["default"]
    if templates is None and (whole := source.read_json("chat_template.json")):
        return _templates_of(whole.get("chat_template"))
    return templates


def _templates_of(value: Any) -> Templates:
    if value is None or isinstance(value, str):
        return value
    try:
        pairs = value.items() if isinstance(value, Mapping) else [(entry["name"], entry["template"]) for entry in value]
        return {str(name): str(template) for name, template in pairs}
    except (TypeError, KeyError, AttributeError):
        raise TokenizerError("chat_template must be a text or a list of {'name': ..., 'template': ...}.") from None


def _text(path: Path) -> str:
    return path.read_text("utf-8")
