"""Readers of byte-level vocabularies: tiktoken's lines, Mistral's tekken.json, and ByT5's, which needs no file."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import Regex, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Backend

from headway.errors import TokenizerError
from headway.io.files import read_object
from headway.tokenization.byte_vocabulary import ALPHABET
from headway.tokenization.forms import Form
from headway.tokenization.frames import Ends, surround
from headway.tokenization.reading import Built, Files, contents, mark, present

# How texts are cut before bytes are joined, by those who say nothing of it in the file (Llama 3, arXiv:2407.21783).
_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
# The first special tokens of files that do not list them.
_TEKKEN_SPECIALS = (
    "<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] [/TOOL_RESULTS] [TOOL_CALLS] "
    "[IMG] <pad> [IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE] [SUFFIX]"
)


def is_tiktoken(path: Path) -> bool:
    """Whether a file is of tiktoken's form: lines of a token in base64 and its rank."""
    with path.open("rb") as file:
        try:
            _line(file.readline(4096))
        except ValueError:
            return False
    return True


def read_tiktoken(files: Files) -> Built:
    """tiktoken's: tokens in base64 with their ranks, which are their ids."""
    (path,) = files.paths
    try:
        ranks = dict(_line(line) for line in path.read_bytes().splitlines() if line.strip())
    except ValueError as error:
        raise TokenizerError(f"{path} is not of tiktoken's form ({error}): download it again.") from error
    backend = _byte_pairs(ranks, _PATTERN)
    for _, token in sorted(files.added.items()):
        backend.add_tokens([token])
    return _finished(backend, files, Ends())


def read_tekken(files: Files) -> Built:
    """Mistral's tekken.json: special tokens first, then tokens in base64 in the order of their ranks."""
    (path,) = files.paths
    whole = read_object(path, TokenizerError)
    try:
        config = whole["config"]
        reserved = int(config["default_num_special_tokens"])
        size = int(config["default_vocab_size"]) - reserved
        ranks = {base64.b64decode(entry["token_bytes"]): int(entry["rank"]) for entry in whole["vocab"][:size]}
        listed = whole.get("special_tokens")
        named = {int(entry["rank"]): str(entry["token_str"]) for entry in listed or ()}
        named = named or dict(enumerate(_TEKKEN_SPECIALS.split()))
        backend = _byte_pairs(ranks, config["pattern"], [named.get(i, f"<SPECIAL_{i}>") for i in range(reserved)])
    except (KeyError, TypeError, ValueError) as error:
        raise TokenizerError(f"{path} is not a tekken file ({error!r}): download it again.") from error
    return _finished(backend, files, Ends(bos=True))


def read_bytes(files: Files) -> Built:
    """ByT5's: the bytes of UTF-8 are the tokens (arXiv:2105.13626)."""
    specials = present(files.kind, files.roles, {"<pad>": 0, "</s>": 1, "<unk>": 2}, strip=True)
    ids = {"<pad>": 0, "</s>": 1, "<unk>": 2, **{char: byte + 3 for byte, char in enumerate(ALPHABET)}}
    backend = Backend(models.BPE(ids, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    mark(backend, specials)
    form = (files.kind.form if files.kind else None) or Form()
    backend.add_special_tokens([name for part in form.after for name in part.tokens(files.config, files.listed)])
    surround(backend, form.frame, contents(specials), files.config)
    return Built(backend, files.kind, rebuilt=True)


def _finished(backend: Backend, files: Files, ends: Ends) -> Built:
    specials = present(files.kind, files.roles, backend.get_vocab())
    mark(backend, specials)
    form = files.kind.form if files.kind else None
    surround(backend, form.frame if form else ends, contents(specials), files.config)
    return Built(backend, files.kind, rebuilt=True)


def _byte_pairs(ranks: Mapping[bytes, int], pattern: str, before: Sequence[str] = ()) -> Backend:
    """Return the tokenizer that joins the two tokens that make up the one of the lowest rank, again and again."""
    texts = {token: "".join(ALPHABET[byte] for byte in token) for token in ranks}
    ids = {name: id for id, name in enumerate(before)}
    ids.update((text, len(before) + ranks[token]) for token, text in texts.items())
    merges = [
        (texts[left], texts[right])
        for token in sorted(ranks, key=ranks.__getitem__)
        for cut in range(1, len(token))
        if (left := token[:cut]) in texts and (right := token[cut:]) in texts
    ]
    backend = Backend(models.BPE(ids, merges, ignore_merges=True))
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(list(before))
    return backend


def _line(line: bytes) -> tuple[bytes, int]:
    token, rank = line.split()
    return base64.b64decode(token, validate=True), int(rank)
