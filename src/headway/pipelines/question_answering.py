"""Question answering: the parts of a context that answer a question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headway.errors import InputError
from headway.pipelines.options import option
from headway.pipelines.text import Document, Row, TextOptions, TextPipeline
from headway.pipelines.windows import Array, Window, merge


@dataclass(frozen=True, kw_only=True)
class QuestionAnsweringOptions(TextOptions):
    """How many answers, how long, and how contexts that are too long are read."""

    top_k: int = option(1, "answers to list", int)
    doc_stride: int = option(128, "tokens that windows of a long context share", int, least=0)
    max_answer_len: int = option(15, "tokens of an answer at most", int)
    max_seq_len: int = option(384, "tokens of question and window together", int)
    max_question_len: int = option(64, "tokens of a question at most", int)
    handle_impossible_answer: bool = option(False, "the context may hold no answer, which is an answer then", bool)
    align_to_words: bool = option(True, "answers are whole words", bool)


class QuestionAnsweringPipeline(TextPipeline):
    """Answers from contexts.

    The answer is ``{"score", "start", "end", "answer"}`` with ``context[start:end]`` the answer, or with ``top_k``
    above 1 a list of as many different ones, best first. A context that is too long is read in windows; each token has
    the logits of the one that has most around it, and scores are probabilities over the whole context. With
    ``handle_impossible_answer`` the empty answer stands for none.
    """

    task = "question-answering"
    auto = "AutoModelForQuestionAnswering"
    summary = "the part of a context that answers a question"
    Options = QuestionAnsweringOptions
    main = "context"
    besides = {"question": "what to answer from the context"}  # noqa: RUF012 - read only
    by_line = False

    def __call__(self, inputs: Any = None, *, question: Any = None, context: Any = None, **options: Any) -> Any:
        """Answer questions.

        Args:
            inputs: a dictionary with ``question`` and ``context``, a list of them, or any other iterable.
            question: a question, or several; in place of ``inputs``.
            context: the context, or one for each question.
            **options: in place of the pipeline's own.
        """
        if (inputs is None) == (question is None and context is None):
            raise InputError("question-answering takes question= and context=, or dictionaries of the two.")
        return super().__call__(_paired(question, context) if inputs is None else inputs, **options)

    def texts(self, item: Any) -> tuple[str, str | None]:
        if not isinstance(item, Mapping):
            raise InputError(f"question-answering takes a dictionary with question and context, not {item!r}.")
        for name in ("question", "context"):
            if not isinstance(item.get(name), str) or not item[name].strip():
                raise InputError(f"question-answering needs a {name} that is a text, not {item.get(name)!r}.")
        return item["question"], item["context"]

    def windows(self, document: Document, options: Any) -> Sequence[Window]:
        asked = document.encoding.sequence_ids.count(0)
        if asked > options.max_question_len:
            raise InputError(
                f"The question has {asked} tokens, more than max_question_len={options.max_question_len}; shorten it, "
                "or pass a larger one."
            )
        return super().windows(document, options)

    def longest(self, options: Any) -> int | None:
        limit: int = options.max_seq_len
        return min(limit, options.max_length or limit)

    def moving(self, document: Document) -> int:
        return 1

    def overlap(self, options: Any) -> int | None:
        doc_stride: int = options.doc_stride if options.stride is None else options.stride
        return doc_stride

    def select(self, output: Any, rows: Sequence[Row]) -> Iterable[Any]:
        import torch

        both = torch.stack((output["start_logits"], output["end_logits"]), -1)
        return [logits[: len(row)] for logits, row in zip(both, rows, strict=True)]

    def answer(self, document: Document, outputs: Sequence[Array], options: Any) -> Any:
        spans, impossible = self._spans(document, outputs, options)
        answers: list[dict[str, Any]] = []
        seen = set()
        if impossible is not None:
            answers.append({"score": impossible, "start": 0, "end": 0, "answer": ""})
        for score, first, last in spans:
            start, end = self._characters(document, first, last, options.align_to_words)
            if start >= end or (start, end) in seen:
                continue
            seen.add((start, end))
            answers.append({"score": score, "start": start, "end": end, "answer": (document.pair or "")[start:end]})
            if len(seen) == options.top_k:
                break
        answers.sort(key=lambda answer: -answer["score"])
        return answers[0] if options.top_k == 1 else answers[: options.top_k]

    def _spans(
        self, document: Document, outputs: Sequence[Array], options: Any
    ) -> tuple[Iterable[tuple[float, int, int]], float | None]:
        """Scores of all spans with their first and last token, best first; and the score of there being no answer."""
        tokens, logits = merge(document.windows, outputs)
        sequences = document.encoding.sequence_ids
        in_context = np.array([sequences[token] == 1 for token in tokens])
        if not in_context.any():
            raise InputError(f"The context holds no word to answer with: {document.pair!r}.")
        allowed = in_context.copy()
        if options.handle_impossible_answer:
            # The first token stands for no answer, as models are trained; there is none if no window has one.
            logits = np.concatenate((min((row[:1] for row in outputs), key=np.sum), logits[1:]))
            allowed[0] = True
        powers = np.exp(np.where(allowed[:, None], logits - logits[allowed].max(0), -np.inf))
        start, end = (powers / powers.sum(0)).T
        places = np.flatnonzero(in_context)
        scores, firsts, lasts = [], [], []
        for length in range(min(options.max_answer_len, len(places))):
            first, last = places[: len(places) - length], places[length:]
            scores.append(start[first] * end[last])
            firsts.append(tokens[first])
            lasts.append(tokens[last])
        every, first_tokens, last_tokens = map(np.concatenate, (scores, firsts, lasts))
        order = np.argsort(-every, kind="stable")
        spans = ((float(every[at]), int(first_tokens[at]), int(last_tokens[at])) for at in order)
        return spans, float(start[0] * end[0]) if options.handle_impossible_answer else None

    def _characters(self, document: Document, first: int, last: int, whole_words: bool) -> tuple[int, int]:
        """The characters of the context from one token to another."""
        encoding, context = document.encoding, document.pair or ""
        words = [encoding.token_to_word(token) if whole_words else None for token in (first, last)]
        # Byte-level tokenizers may number no words; the tokens' own characters do then.
        (start, _), (_, end) = (
            (None if word is None else encoding.word_to_chars(word, 1)) or encoding.offsets[token]
            for token, word in zip((first, last), words, strict=True)
        )
        while start < end and context[start].isspace():
            start += 1
        while start < end and context[end - 1].isspace():
            end -= 1
        return start, end


def _paired(question: Any, context: Any) -> Any:
    """Questions and contexts as dictionaries; one context does for several questions, and the other way round."""
    questions = question if isinstance(question, list | tuple) else None
    contexts = context if isinstance(context, list | tuple) else None
    if questions is None and contexts is None:
        return {"question": question, "context": context}
    count = len(questions if questions is not None else contexts or ())
    questions = [question] * count if questions is None else questions
    contexts = [context] * count if contexts is None else contexts
    if len(questions) != len(contexts):
        raise InputError(f"There are {len(questions)} questions, but {len(contexts)} contexts; give one for each.")
    return [{"question": q, "context": c} for q, c in zip(questions, contexts, strict=True)]
