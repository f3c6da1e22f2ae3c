"""From the files of a vocabulary to a ``tokenizers.Tokenizer``.

A reader takes the files it is listed for in READERS, and what the configuration says. The first entry whose files are
all there is used; a new format is a new entry.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as Backend

from headway.errors import TokenizerError
from headway.io.files import damage
from headway.io.source import Source
from headway.tokenization.adjust import frame
from headway.tokenization.kinds import BERT, GENERIC, GPT2, ROBERTA, Kind, kind_of
from headway.tokenization.special import AnyToken, as_added_token

# Files of formats that are not read yet, to say so rather than "no tokenizer".
UNREAD = ("spiece.model", "sentencepiece.bpe.model", "spm.model", "tokenizer.model", "source.spm", "tiktoken.model",
          "tekken.json", "bpe.codes")  # fmt: skip


@dataclass(frozen=True)
class Files:
    """What a reader is given: its files in the order of READERS, the settings, and the kind of tokenizer if known.

    ``roles`` are the special tokens by role as the files say; defaults of the kind fill in what they leave open.
    """

    name: str
    paths: tuple[Path, ...]
    config: Mapping[str, Any]
    roles: Mapping[str, AnyToken]
    kind: Kind | None


class Built(NamedTuple):
    """A tokenizer, the kind it was read as, and whether its file says all there is to say about added tokens."""

    backend: Backend
    kind: Kind | None
    whole: bool = False


def read_vocabulary(
    source: Source, config: Mapping[str, Any], roles: Mapping[str, AnyToken], kind: Kind | None
) -> Built:
    """Return the tokenizer in ``source``; TokenizerError if there are no files of a known format, or broken ones."""
    for names, reader in READERS.items():
        if paths := tuple(path for name in names if (path := source.find(name)) is not None):
            if len(paths) < len(names):
                continue
            return reader(Files(source.name, paths, config, roles, kind))
    if unread := [name for name in UNREAD if source.find(name)]:
        raise TokenizerError(
            f"{source.name!r} has its tokenizer in {unread[0]} alone, a format that headway does not read yet: convert "
            "it to tokenizer.json once, or use a checkpoint that has one."
        )
    wanted = ", ".join(" + ".join(names) for names in READERS)
    raise TokenizerError(f"{source.name!r} has no tokenizer: searched {source.where} for {wanted}.")


def _read_tokenizer_json(files: Files) -> Built:
    path = files.paths[0]
    try:
        backend = Backend.from_file(str(path))
    except Exception as error:  # the library raises nothing more special
        what = damage(path.read_bytes()[:64]) or f"is not a tokenizer ({error}): download it again"
        raise TokenizerError(f"{path} {what}.") from error
    return Built(backend, files.kind, whole=True)


def _read_wordpiece(files: Files) -> Built:
    """BERT's: one token a line, the line's number is its id."""
    kind = _kind_read_by("wordpiece", files) or BERT
    config, (path,) = files.config, files.paths
    ids = {token: id for id, token in enumerate(_lines(path))}
    specials = _present(kind, files.roles, ids)
    (unk, _), cls, sep = (_with_id(specials, f"{role}_token", ids, path) for role in ("unk", "cls", "sep"))
    backend = Backend(models.WordPiece(ids, unk_token=unk, max_input_chars_per_word=100))
    backend.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=config.get("tokenize_chinese_chars", True),
        strip_accents=config.get("strip_accents"),
        lowercase=config.get("do_lower_case", True),
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix="##")
    middle = f"{sep[0]} {sep[0]}:0 $B:0 {sep[0]}:0" if kind.two_separators else f"{sep[0]} $B:1 {sep[0]}:1"
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls[0]} $A {sep[0]}", pair=f"{cls[0]} $A {middle}", special_tokens=[cls, sep]
    )
    _mark(backend, specials)
    return Built(backend, kind)


def _read_byte_level(files: Files) -> Built:
    """GPT-2's and RoBERTa's: byte-level BPE."""
    config, (vocab_path, merges_path) = files.config, files.paths
    ids = _read_ids(vocab_path)
    if any(token.endswith("</w>") for token in ids):
        raise TokenizerError(
            f"{vocab_path} is no byte-level vocabulary (its tokens end in '</w>'), and headway reads this format from "
            "tokenizer.json only: convert it once."
        )
    kind = _kind_read_by("byte-level", files) or (ROBERTA if {"<s>", "</s>"} <= ids.keys() else GPT2)
    # Unless said otherwise RoBERTa's mask stands for a word with its space.
    specials = _present(kind, files.roles, ids, mask_lstrip=kind.two_separators)
    lead = bool(config.get("add_prefix_space", False))
    merges = _read_merges(merges_path, ids)
    backend = Backend(models.BPE(ids, merges, continuing_subword_prefix="", end_of_word_suffix=""))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=lead)
    backend.decoder = decoders.ByteLevel()
    if kind.two_separators:
        sep, cls = (_with_id(specials, role, ids, vocab_path) for role in ("sep_token", "cls_token"))
        trim = bool(config.get("trim_offsets", True))
        backend.post_processor = processors.RobertaProcessing(sep, cls, add_prefix_space=lead, trim_offsets=trim)
    else:
        backend.post_processor = processors.ByteLevel(trim_offsets=False)
        bos = _with_id(specials, "bos_token", ids, vocab_path) if config.get("add_bos_token") else None
        eos = _with_id(specials, "eos_token", ids, vocab_path) if config.get("add_eos_token") else None
        frame(backend, bos, eos)
    _mark(backend, specials)
    return Built(backend, kind)


READERS: dict[tuple[str, ...], Callable[[Files], Built]] = {
    ("tokenizer.json",): _read_tokenizer_json,
    ("vocab.txt",): _read_wordpiece,
    ("vocab.json", "merges.txt"): _read_byte_level,
}


def _kind_read_by(reader: str, files: Files) -> Kind | None:
    """Return the kind if its files are read so; None if nothing says what it is; TokenizerError if it is another."""
    kind, named = files.kind, files.config.get("tokenizer_class")
    is_other = named is not None and named not in GENERIC and kind_of(named) is None
    if not is_other and (kind is None or kind.reader == reader):
        return kind
    what = f"{named!r}" if named else "another kind"
    raise TokenizerError(
        f"{files.name!r} has no tokenizer.json, and headway cannot read {files.paths[0].name} for a "
        f"tokenizer of {what}: convert it to tokenizer.json once."
    )


def _present(
    kind: Kind, roles: Mapping[str, AnyToken], ids: Mapping[str, int], mask_lstrip: bool = False
) -> dict[str, AddedToken]:
    """Return the special tokens by role that the vocabulary has."""
    tokens = {
        role: as_added_token(token, special=True, lstrip=mask_lstrip and role == "mask_token")
        for role, token in {**kind.specials, **roles}.items()
    }
    return {role: token for role, token in tokens.items() if token.content in ids}


def _with_id(specials: Mapping[str, AddedToken], role: str, ids: Mapping[str, int], path: Path) -> tuple[str, int]:
    if role not in specials:
        raise TokenizerError(f"{path} does not hold the {role}, which every text needs: is it the right file?")
    token = specials[role].content
    return token, ids[token]


def _mark(backend: Backend, specials: Mapping[str, AddedToken]) -> None:
    """Let the special tokens be found in texts as wholes."""
    backend.add_special_tokens(list(specials.values()))


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TokenizerError(f"{path} cannot be read as UTF-8 text ({error}): download it again.") from error


def _lines(path: Path) -> list[str]:
    # Not splitlines(): it would also cut at separators that may be tokens, such as U+2028.
    return _read_text(path).removesuffix("\n").split("\n")


def _read_ids(path: Path) -> dict[str, int]:
    try:
        ids = json.loads(_read_text(path))
    except ValueError as error:
        raise TokenizerError(f"{path} is not valid JSON ({error}): download it again.") from error
    if not isinstance(ids, dict) or not all(isinstance(id, int) for id in ids.values()):
        raise TokenizerError(f"{path} must map tokens to ids.")
    return ids


def _read_merges(path: Path, ids: Mapping[str, int]) -> list[tuple[str, str]]:
    merges = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip() or (number == 1 and line.startswith("#version")):
            continue
        left, space, right = line.partition(" ")
        if not space or " " in right:
            raise TokenizerError(f"Line {number} of {path} must be two tokens with a space between, not {line!r}.")
        if unknown := [token for token in (left, right, left + right) if token not in ids]:
            raise TokenizerError(
                f"Line {number} of {path} has {unknown[0]!r}, which is not in the vocabulary beside it."
            )
        merges.append((left, right))
    return merges
