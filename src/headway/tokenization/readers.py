"""From the files of a vocabulary to a ``tokenizers.Tokenizer``.

A reader takes the files it is listed for in READERS, and what the configuration says. The first entry whose files are
all there is used; a new format is a new entry.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as Backend

from headway.errors import TokenizerError
from headway.io.files import damage
from headway.io.source import Source
from headway.tokenization.byte_readers import is_tiktoken, read_bytes, read_tekken, read_tiktoken
from headway.tokenization.frames import CLASS_TO_END, DOUBLE, TYPED, Ends, surround
from headway.tokenization.kinds import BERT, GPT2, ROBERTA
from headway.tokenization.piece_readers import read_numbered, read_pieces, read_two_sided
from headway.tokenization.reading import Built, Files, contents, kind_read_by, lines, mark, present, read_ids
from headway.tokenization.settings import TARGET_FILE, Settings


def read_vocabulary(source: Source, settings: Settings) -> Built:
    """Return the tokenizer in ``source``; TokenizerError if there are no files of a known format, or broken ones."""
    roles = {role: token for role, token in settings.roles.items() if token is not None}
    listed = tuple(token.content for token in settings.extra)
    files = Files(source.name, (), settings.config, roles, listed, settings.added, settings.kind)
    two_sided = settings.kind is not None and settings.kind.reader == "two-sided"
    readers = {names: reader for names, reader in READERS.items() if two_sided or TARGET_FILE not in names}
    find = cache(source.find)
    for names, reader in readers.items():
        if all(find(name) for name in names):
            return reader(replace(files, paths=tuple(path for name in names if (path := find(name)))))
    if settings.kind is not None and settings.kind.reader == "bytes":
        return read_bytes(files)
    if source.find("bpe.codes"):
        raise TokenizerError(
            f"{source.name!r} has its tokenizer in bpe.codes alone, a format that headway does not read: convert it to "
            "tokenizer.json once, or use a checkpoint that has one."
        )
    wanted = ", ".join(" + ".join(names) for names in readers)
    raise TokenizerError(f"{source.name!r} has no tokenizer: searched {source.where} for {wanted}.")


def has_vocabulary(source: Source) -> bool:
    """Are there files of a known format?"""
    return any(all(source.find(name) for name in names) for names in READERS)


def _read_tokenizer_json(files: Files) -> Built:
    return Built(_from_json(files.paths[0]), files.kind, whole=True)


def _read_both_json(files: Files) -> Built:
    """What is saved of a tokenizer with one vocabulary for each language."""
    source, target = map(_from_json, files.paths)
    return Built(source, files.kind, whole=True, target=target)


def _from_json(path: Path) -> Backend:
    try:
        return Backend.from_file(str(path))
    except Exception as error:  # the library raises nothing more special
        what = damage(path.read_bytes()[:64]) or f"is not a tokenizer ({error}): download it again"
        raise TokenizerError(f"{path} {what}.") from error


def _read_lines(files: Files) -> Built:
    """One token a line, the line's number is its id: BERT's word pieces, or ESM's letters of proteins."""
    if files.kind is not None and files.kind.reader == "letters":
        return _read_letters(files)
    kind = kind_read_by("wordpiece", files) or BERT
    config, (path,) = files.config, files.paths
    ids = {token: id for id, token in enumerate(lines(path))}
    specials = present(kind, files.roles, ids, mask_lstrip=kind.two_separators)
    for role in ("unk_token", "cls_token", "sep_token"):
        _check(specials, role, path)
    backend = Backend(models.WordPiece(ids, unk_token=specials["unk_token"].content, max_input_chars_per_word=100))
    backend.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=config.get("tokenize_chinese_chars", True),
        strip_accents=config.get("strip_accents"),
        lowercase=config.get("do_lower_case", True),
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix="##")
    surround(backend, DOUBLE if kind.two_separators else TYPED, contents(specials), config)
    mark(backend, specials)
    return Built(backend, kind)


def _read_letters(files: Files) -> Built:
    """ESM's: every token is a word of its own, whether or not there are spaces between (bioRxiv 2022.07.20.500902)."""
    (path,) = files.paths
    ids = {token.strip(): id for id, token in enumerate(lines(path))}
    specials = present(files.kind, files.roles, ids)
    _check(specials, "unk_token", path)
    backend = Backend(models.WordLevel(ids, unk_token=specials["unk_token"].content))
    longest_first = sorted((token for token in ids if token), key=len, reverse=True)
    letters = "|".join(re.escape(token) for token in longest_first)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(letters), "isolated")]
    )
    surround(backend, CLASS_TO_END, contents(specials), files.config)
    mark(backend, specials)
    return Built(backend, files.kind, rebuilt=True)


def _read_byte_level(files: Files) -> Built:
    """GPT-2's and RoBERTa's: byte-level BPE."""
    config, (vocab_path, merges_path) = files.config, files.paths
    ids = read_ids(vocab_path)
    if any(token.endswith("</w>") for token in ids):
        raise TokenizerError(
            f"{vocab_path} is no byte-level vocabulary (its tokens end in '</w>'), and headway reads this format from "
            "tokenizer.json only: convert it once."
        )
    kind = kind_read_by("byte-level", files) or (ROBERTA if {"<s>", "</s>"} <= ids.keys() else GPT2)
    # Unless said otherwise RoBERTa's mask stands for a word with its space.
    lstrip = kind.two_separators or (kind.form is not None and kind.form.lstrip)
    specials = present(kind, files.roles, ids, mask_lstrip=lstrip)
    lead = bool(config.get("add_prefix_space", False))
    merges = _read_merges(merges_path, ids)
    backend = Backend(models.BPE(ids, merges, continuing_subword_prefix="", end_of_word_suffix=""))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=lead)
    backend.decoder = decoders.ByteLevel()
    if kind.two_separators:
        sep, cls = (_check(specials, role, vocab_path) for role in ("sep_token", "cls_token"))
        trim = bool(config.get("trim_offsets", True))
        backend.post_processor = processors.RobertaProcessing(
            (sep, ids[sep]), (cls, ids[cls]), add_prefix_space=lead, trim_offsets=trim
        )
    else:
        backend.post_processor = processors.ByteLevel(trim_offsets=False)
        surround(backend, kind.form.frame if kind.form else Ends(), contents(specials), config)
    mark(backend, specials)
    return Built(backend, kind)


def _read_model(files: Files) -> Built:
    """A file of two formats under one name: sentencepiece's, or tiktoken's as Llama 3 has it."""
    return read_tiktoken(files) if is_tiktoken(files.paths[0]) else read_pieces(files)


READERS: dict[tuple[str, ...], Callable[[Files], Built]] = {
    ("tokenizer.json", TARGET_FILE): _read_both_json,
    ("tokenizer.json",): _read_tokenizer_json,
    ("vocab.txt",): _read_lines,
    ("source.spm", "target.spm", "vocab.json", "target_vocab.json"): read_two_sided,
    ("source.spm", "target.spm", "vocab.json"): read_two_sided,
    ("vocab.json", "sentencepiece.bpe.model"): read_numbered,
    ("vocab.json", "merges.txt"): _read_byte_level,
    ("spiece.model",): read_pieces,
    ("sentencepiece.bpe.model",): read_pieces,
    ("spm.model",): read_pieces,
    ("tekken.json",): read_tekken,
    ("tokenizer.model",): _read_model,
    ("tiktoken.model",): read_tiktoken,
}


def _check(specials: Mapping[str, AddedToken], role: str, path: Path) -> str:
    """Return the token of a role; TokenizerError if the vocabulary in ``path`` has none."""
    if role not in specials:
        raise TokenizerError(f"{path} does not hold the {role}, which every text needs: is it the right file?")
    return specials[role].content


def _read_merges(path: Path, ids: Mapping[str, int]) -> list[tuple[str, str]]:
    merges = []
    for number, line in enumerate(lines(path), start=1):
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
