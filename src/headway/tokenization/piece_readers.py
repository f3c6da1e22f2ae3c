"""Readers of sentencepiece files, in every family's arrangement."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tokenizers import Regex, normalizers
from tokenizers import Tokenizer as Backend
from tokenizers.normalizers import Normalizer

from headway.tokenization.forms import Cleaned, Form, Outside, Plain
from headway.tokenization.frames import surround
from headway.tokenization.reading import Built, Files, contents, kind_read_by, mark, present, read_ids
from headway.tokenization.segmenting import Prefix, segmenter
from headway.tokenization.sentencepiece import Piece, PieceType, SentencePiece, read_sentencepiece


def read_pieces(files: Files) -> Built:
    """A sentencepiece file whose pieces' places are their ids, or nearly so."""
    kind = kind_read_by("sentencepiece", files)
    form = (kind.form if kind else None) or Form()
    model = read_sentencepiece(files.paths[0])
    start = form.start.resolve(files.config)
    unknown = next(piece.text for piece in model.pieces if piece.type is PieceType.UNKNOWN)
    pieces = [_special(name, unknown) for name in start.names]
    pieces += model.pieces[start.piece :]
    pieces += _after(form, files, pieces)
    return Built(_build(model, pieces, form, files), kind, rebuilt=True)


def read_numbered(files: Files) -> Built:
    """M2M-100's: a sentencepiece file that cuts texts, and the ids of its pieces in vocab.json."""
    kind = kind_read_by("numbered", files)
    form = (kind.form if kind else None) or Form()
    model, ids = read_sentencepiece(files.paths[1]), read_ids(files.paths[0])
    pieces = _by_id(model, ids, files)
    pieces += _after(form, files, pieces)
    return Built(_build(model, pieces, form, files), kind, rebuilt=True)


def read_two_sided(files: Files) -> Built:
    """Marian's: a sentencepiece file for each language, and ids that both share or that each has of its own."""
    kind = kind_read_by("two-sided", files)
    form = (kind.form if kind else None) or Form()
    source, target, source_ids, *others = files.paths
    target_ids = others[0] if others and files.config.get("separate_vocabs") else source_ids
    sides = []
    for path, ids_path in ((source, source_ids), (target, target_ids)):
        model, ids = read_sentencepiece(path), read_ids(ids_path)
        backend = _build(model, _by_id(model, ids, files), form, files)
        backend.add_tokens([token for token in ids if re.fullmatch(r">>.+<<", token)])
        sides.append(backend)
    return Built(sides[0], kind, rebuilt=True, target=sides[1])


def _by_id(model: SentencePiece, ids: Mapping[str, int], files: Files) -> list[Piece]:
    """Return pieces in the order of ``ids``; no text is cut into those that the model does not have."""
    known = {piece.text: piece for piece in model.pieces}
    unknown = present(files.kind, files.roles, ids).get("unk_token")
    unk = "<unk>" if unknown is None else unknown.content
    names = {id: token for token, id in ids.items()}
    pieces = [Piece(f"<unused_{id}>", 0.0, PieceType.UNUSED) for id in range(max(names, default=-1) + 1)]
    for id, token in names.items():
        piece = known.get(token)
        if token == unk:
            pieces[id] = Piece(token, 0.0, PieceType.UNKNOWN)
        elif piece is None or piece.type is PieceType.CONTROL:
            pieces[id] = Piece(token, 0.0, PieceType.UNUSED)
        else:
            pieces[id] = piece
    return pieces


def _after(form: Form, files: Files, pieces: Iterable[Piece]) -> list[Piece]:
    taken = {piece.text for piece in pieces}
    inside = (part for part in form.after if not isinstance(part, Outside))
    names = [name for part in inside for name in part.tokens(files.config, files.listed)]
    return [Piece(name, 0.0, PieceType.CONTROL) for name in names if name not in taken]


def _special(name: str, unknown: str) -> Piece:
    return Piece(name, 0.0, PieceType.UNKNOWN if name == unknown else PieceType.CONTROL)


def _build(model: SentencePiece, pieces: list[Piece], form: Form, files: Files) -> Backend:
    for id, token in files.added.items():  # which may stand in the place of an unused piece
        if id < len(pieces) and pieces[id].text != token.content:
            pieces[id] = Piece(token.content, 0.0, PieceType.CONTROL)
    if isinstance(form.text, Cleaned):
        pieces = [_apart(piece) for piece in pieces]
    backend = segmenter(model, pieces, _prefix(model, files.config), _cleaning(form.text, files.config))
    for part in form.after:
        if isinstance(part, Outside):
            backend.add_special_tokens(list(part.tokens(files.config, files.listed)))
    specials = present(files.kind, files.roles, backend.get_vocab(), mask_lstrip=form.lstrip)
    named = {token.content for token in specials.values()}
    control = [piece.text for piece in pieces if piece.type is PieceType.CONTROL and piece.text not in named]
    mark(backend, specials)
    backend.add_special_tokens(control)
    if files.kind is None or files.kind.languages is None:  # the tokenizer itself puts languages there
        surround(backend, form.frame, contents(specials), files.config)
    return backend


def _prefix(model: SentencePiece, config: Mapping[str, Any]) -> Prefix:
    given = config.get("add_prefix_space")
    if not (model.add_dummy_prefix if given is None else given):
        return "never"
    return "first" if config.get("legacy") is False else "always"


def _cleaning(text: Plain | Cleaned, config: Mapping[str, Any]) -> list[Normalizer]:
    if isinstance(text, Plain):
        return [normalizers.Lowercase()] if config.get("do_lower_case") else []
    steps: list[Normalizer] = []
    if config.get("remove_space", True):
        steps.append(normalizers.Replace(Regex(r"\s+"), " "))
    steps += [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if not config.get("keep_accents", text.accents):
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    return [*steps, normalizers.Lowercase()] if config.get("do_lower_case", text.lower) else steps


def _apart(piece: Piece) -> Piece:
    """Return a piece that is hardly ever chosen if it ends with a digit and a comma."""
    return piece._replace(score=piece.score - 100) if re.search(r"\d,\Z", piece.text) else piece
