"""Token classification: the entities of a text, as spans of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headway.errors import InputError
from headway.pipelines.options import option
from headway.pipelines.scores import softmax
from headway.pipelines.text import Document, Row, TextOptions, TextPipeline, unpadded
from headway.pipelines.windows import Array, merge

STRATEGIES = ("none", "simple", "first", "average", "max")


@dataclass(frozen=True, kw_only=True)
class TokenClassificationOptions(TextOptions):
    """How tokens become entities, and which of them are left out."""

    aggregation_strategy: str = option(
        "none",
        "none: every token; simple: neighbours of a label are one entity; first, average, max: so for whole words, by "
        "the scores of their tokens",
        str,
        choices=STRATEGIES,
    )
    ignore_labels: Sequence[str] = option(("O",), "labels to leave out", list)
    is_split_into_words: bool = option(False, "inputs are lists of words")
    delimiter: str = option(" ", "what joins the words of such inputs")


@dataclass
class Words(Document):
    """A text that was given as words, which start at ``starts``."""

    starts: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Piece:
    """A token, or a word of several: where it is and how it scores for each label."""

    start: int
    end: int
    scores: Array
    index: int = 0
    token: str = ""

    @property
    def best(self) -> float:
        """The score of its label."""
        return float(self.scores.max())


class TokenClassificationPipeline(TextPipeline):
    """Entities of texts.

    The answer is a list of ``{"entity", "score", "index", "word", "start", "end"}``, one a token, or with another
    ``aggregation_strategy`` of ``{"entity_group", "score", "word", "start", "end"}``. ``text[start:end]`` is the
    entity, and it is the ``word`` of a group. A text that is too long is read in windows; each token has the scores of
    the one that has most around it, so entities run through.
    """

    task = "token-classification"
    aliases = ("ner",)
    auto = "AutoModelForTokenClassification"
    summary = "the entities of a text"
    Options = TokenClassificationOptions

    def __call__(self, inputs: Any, **options: Any) -> Any:
        chosen = self.options_from(self.options, options)
        if chosen.is_split_into_words and isinstance(inputs, list) and all(isinstance(word, str) for word in inputs):
            return self.run([inputs], chosen)[0]
        return super().__call__(inputs, **options)

    def documents(self, items: Sequence[Any], options: Any) -> list[Document]:
        if not options.is_split_into_words:
            return super().documents(items, options)
        for item in items:
            if not isinstance(item, list | tuple) or not all(isinstance(word, str) for word in item) or not item:
                raise InputError(f"With is_split_into_words an input is a list of words, not {item!r}.")
        batch = self.tokenizer([list(item) for item in items], is_split_into_words=True, verbose=False)
        documents: list[Document] = []
        for row, words in enumerate(items):
            lengths = [len(word) + len(options.delimiter) for word in words]
            starts = [sum(lengths[:number]) for number in range(len(words))]
            documents.append(Words(options.delimiter.join(words), None, batch, row, starts=starts))
        return documents

    def select(self, output: Any, rows: Sequence[Row]) -> Iterable[Any]:
        return unpadded(output["logits"], rows)

    def answer(self, document: Document, outputs: Sequence[Array], options: Any) -> list[dict[str, Any]]:
        read, logits = merge(document.windows, outputs)
        tokens, words = self._pieces(document, dict(zip(read.tolist(), softmax(logits), strict=True)))
        label = self.model.config.label
        ignored = set(options.ignore_labels)
        if options.aggregation_strategy == "none":
            return [
                {
                    "entity": name,
                    "score": piece.best,
                    "index": piece.index,
                    "word": piece.token,
                    "start": piece.start,
                    "end": piece.end,
                }
                for piece in tokens
                if (name := label(int(piece.scores.argmax()))) not in ignored and piece.start < piece.end
            ]
        if options.aggregation_strategy != "simple":
            tokens = [_as_one(word, options.aggregation_strategy) for word in words]
        labelled = [(piece, label(int(piece.scores.argmax()))) for piece in tokens]
        groups = [(name, span(group), group) for name, group in grouped(labelled) if name not in ignored]
        return [
            {
                "entity_group": name,
                "score": float(np.mean([piece.best for piece in group])),
                "word": document.text[start:end],
                "start": start,
                "end": end,
            }
            for name, (start, end), group in groups
            if start < end
        ]

    def _pieces(self, document: Document, scores: dict[int, Array]) -> tuple[list[Piece], list[list[Piece]]]:
        """The tokens of the text that were read, without the frame, and the same by words."""
        encoding, text = document.encoding, document.text
        starts = document.starts if isinstance(document, Words) else None
        tokens: list[Piece] = []
        words: list[list[Piece]] = []
        last: int | None = None
        for index, (sequence, word, name, (start, end)) in enumerate(
            zip(encoding.sequence_ids, encoding.word_ids, encoding.tokens, encoding.offsets, strict=True)
        ):
            if sequence is None or index not in scores:
                continue
            if starts is not None and word is not None:
                start, end = start + starts[word], end + starts[word]
            # Some tokenizers count the space before a word as a part of its first token.
            while start < end and text[start].isspace():
                start += 1
            while start < end and text[end - 1].isspace():
                end -= 1
            shown = text[start:end] if document.ids[index] == self.tokenizer.unk_token_id else name
            tokens.append(Piece(start, end, scores[index], index, shown))
            if word is None or word != last:
                words.append([])
            words[-1].append(tokens[-1])
            last = word
        if starts is None:
            words = [part for word_pieces in words for part in _without_marks(word_pieces, text)]
        return tokens, words


def grouped(labelled: Iterable[tuple[Piece, str]]) -> Iterator[tuple[str, list[Piece]]]:
    """Neighbours of the same entity, by its name: ``B-`` starts one anew, ``I-`` goes on."""
    name, group = "", list[Piece]()
    for piece, label in labelled:
        begins, own = label.startswith("B-"), label[2:] if label[:2] in ("B-", "I-") else label
        if group and (begins or own != name):
            yield name, group
            group = []
        name = own
        group.append(piece)
    if group:
        yield name, group


def span(pieces: Sequence[Piece]) -> tuple[int, int]:
    """From the first to the last character of the pieces; those that stand for none do not count."""
    seen = [piece for piece in pieces if piece.start < piece.end]
    return (seen[0].start, seen[-1].end) if seen else (0, 0)


def _as_one(word: list[Piece], strategy: str) -> Piece:
    """A word as one piece, with the scores that ``strategy`` takes of its tokens."""
    start, end = span(word)
    match strategy:
        case "first":
            scores = word[0].scores
        case "max":
            scores = max(word, key=lambda piece: piece.best).scores
        case _:
            scores = np.mean([piece.scores for piece in word], axis=0)
    return Piece(start, end, scores)


def _without_marks(word: list[Piece], text: str) -> Iterator[list[Piece]]:
    """A word of the tokenizer, and as words of their own the punctuation marks before and after it.

    Tokenizers that split at spaces alone count the full stop after a name as a part of it.
    """
    first, last = 0, len(word)
    while first < last - 1 and _is_mark(word[first], text):
        first += 1
    while first < last - 1 and _is_mark(word[last - 1], text):
        last -= 1
    yield from ([piece] for piece in word[:first])
    yield word[first:last]
    yield from ([piece] for piece in word[last:])


def _is_mark(piece: Piece, text: str) -> bool:
    characters = text[piece.start : piece.end]
    return bool(characters) and all(unicodedata.category(character)[0] == "P" for character in characters)
