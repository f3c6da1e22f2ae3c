"""Writing a tokenizer's files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken

from headway.io.atomic import atomic_folder, write_file
from headway.tokenization.settings import CONFIG_FILE, TARGET_FILE, TEMPLATE_FILE, TEMPLATE_FOLDER, TOKENS_FILE
from headway.tokenization.special import EXTRA, ROLES

if TYPE_CHECKING:
    from headway.tokenization.tokenizer import Tokenizer

# Keys of this process or of files that are not written, which a saved folder must not carry on.
_LEFT_OUT = ("name_or_path", "chat_template", "vocab_file", "merges_file", "tokenizer_file", "special_tokens_map_file")


def save(tokenizer: "Tokenizer", folder: Path) -> tuple[str, ...]:
    """Write the files of ``tokenizer`` into ``folder`` in one step and return their paths."""
    files = _files(tokenizer)
    with atomic_folder(folder) as draft:
        # What an older tokenizer left in the folder would speak beside this one.
        stale = [draft / name for name in (TEMPLATE_FILE, TARGET_FILE, "chat_template.json", "added_tokens.json")]
        for path in (*stale, *(draft / TEMPLATE_FOLDER).glob("*.jinja")):
            path.unlink(missing_ok=True)
        for name, text in files.items():
            (draft / name).parent.mkdir(exist_ok=True)
            write_file(draft / name, text.encode())
    return tuple(str(folder / name) for name in files)


def _files(tokenizer: "Tokenizer") -> dict[str, str]:
    config = _config(tokenizer)
    files = {
        "tokenizer.json": tokenizer._backend.to_str(pretty=True),
        CONFIG_FILE: _json(config),
        TOKENS_FILE: _json(
            {name: config[name] for name in (*tokenizer.special_tokens_map, EXTRA[1]) if config.get(name)}
        ),
    }
    if tokenizer._target is not None:
        files[TARGET_FILE] = tokenizer._target.to_str(pretty=True)
    templates = tokenizer.chat_template
    if isinstance(templates, str):
        templates = {"default": templates}
    for name, template in (templates or {}).items():
        files[TEMPLATE_FILE if name == "default" else f"{TEMPLATE_FOLDER}/{name}.jinja"] = template
    return files


def _config(tokenizer: "Tokenizer") -> dict[str, Any]:
    added = tokenizer.added_tokens_decoder
    config = {name: value for name, value in tokenizer.init_kwargs.items() if name not in _LEFT_OUT}
    config.setdefault("tokenizer_class", "PreTrainedTokenizerFast")
    for role in [name for name in config if name.endswith("_token") and not isinstance(config[name], bool)]:
        if role not in tokenizer.special_tokens_map:
            config[role] = None
    tokens = tokenizer.special_tokens_map
    own = {role: text for role, text in tokens.items() if role not in ROLES}  # roles of one family alone
    extra = tokenizer.additional_special_tokens
    return {
        **{name: value for name, value in config.items() if name not in EXTRA},
        **tokens,  # their flags are in added_tokens_decoder
        **tokenizer._langs,
        **({"extra_special_tokens": own} if own else {}),
        **({"additional_special_tokens": extra} if extra else {}),
        "added_tokens_decoder": {str(id): _entry(token) for id, token in added.items()},
        "model_max_length": tokenizer.model_max_length,
        "model_input_names": tokenizer.model_input_names,
        "padding_side": tokenizer.padding_side,
        "truncation_side": tokenizer.truncation_side,
        "clean_up_tokenization_spaces": tokenizer.clean_up_tokenization_spaces,
    }


def _entry(token: AddedToken) -> dict[str, Any]:
    names = ("content", "lstrip", "normalized", "rstrip", "single_word", "special")
    return {name: getattr(token, name) for name in names}


def _json(value: Any) -> str:
    def plain(item: Any) -> Any:
        return _entry(item) if isinstance(item, AddedToken) else str(item)

    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, default=plain) + "\n"
