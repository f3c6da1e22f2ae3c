"""Fill-mask: the words that fit behind the masks of a text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headway.errors import InputError
from headway.pipelines.options import option
from headway.pipelines.text import Document, Row, TextOptions, TextPipeline
from headway.pipelines.windows import Array, Window, merge


@dataclass(frozen=True, kw_only=True)
class FillMaskOptions(TextOptions):
    """How many words to list, and which ones come into question."""

    top_k: int = option(5, "words to list for each mask", int)
    targets: str | Sequence[str] | None = option(None, "the only words that come into question", list)


class FillMaskPipeline(TextPipeline):
    """Words behind masks.

    The answer is a list of ``{"score", "token", "token_str", "sequence"}``, best first; for a text of several masks one
    such list a mask, each filled with the others left as they are.
    """

    task = "fill-mask"
    auto = "AutoModelForMaskedLM"
    summary = "the words behind the masks of a text"
    Options = FillMaskOptions

    def windows(self, document: Document, options: Any) -> Sequence[Window]:
        mask = self.tokenizer.mask_token
        if mask is None:
            raise InputError("The tokenizer of this model has no mask_token, so there is nothing to fill.")
        windows = super().windows(document, options)
        read = {int(token) for window in windows for token in window.tokens}
        masks = self._masks(np.asarray(document.ids))
        if not len(masks):
            raise InputError(f"The text has no mask: write {mask} where a word is missing, in {document.text[:60]!r}.")
        if not read.issuperset(masks.tolist()):
            raise InputError("The text was cut before its last mask; leave out truncation=True.")
        return windows

    def select(self, output: Any, rows: Sequence[Row]) -> Iterable[Any]:
        # The vocabulary is large: only the masks' logits leave the device.
        return (logits[self._masks(row.ids)] for logits, row in zip(output["logits"], rows, strict=True))

    def answer(self, document: Document, outputs: Sequence[Array], options: Any) -> Any:
        ids = np.asarray(document.ids)
        places = self._masks(ids)
        _, logits = merge([self._of_masks(window, ids) for window in document.windows], outputs)
        allowed = self._targets(options.targets)
        filled = [
            self._fill(ids, place, row, allowed, options.top_k) for place, row in zip(places, logits, strict=True)
        ]
        return filled[0] if len(filled) == 1 else filled

    def table(self, answer: Any) -> list[dict[str, Any]]:
        if isinstance(answer, list) and isinstance(answer[0], list):
            return [{"mask": number, **row} for number, rows in enumerate(answer, 1) for row in rows]
        return super().table(answer)

    def _masks(self, ids: Array) -> Array:
        return np.flatnonzero(ids == self.tokenizer.mask_token_id)

    def _of_masks(self, window: Window, ids: Array) -> Window:
        masks = self._masks(ids[window.tokens])
        return Window(window.tokens[masks], window.margin[masks])

    def _fill(self, ids: Array, place: int, logits: Array, allowed: Array | None, count: int) -> list[dict[str, Any]]:
        highest = logits.max()
        log_total = highest + np.log(np.exp(logits - highest).sum())
        tokens = np.arange(len(logits)) if allowed is None else allowed
        if count < len(tokens):
            tokens = tokens[np.argpartition(-logits[tokens], count - 1)[:count]]
        tokens = tokens[np.argsort(-logits[tokens], kind="stable")]
        hidden = set(self.tokenizer.all_special_ids) - {self.tokenizer.mask_token_id}
        found = []
        for token in tokens.tolist():
            text = ids.copy()
            text[place] = token
            found.append(
                {
                    "score": float(np.exp(logits[token] - log_total)),
                    "token": token,
                    "token_str": self.tokenizer.decode([token]),
                    "sequence": self.tokenizer.decode([id for id in text.tolist() if id not in hidden]),
                }
            )
        return found

    def _targets(self, targets: str | Sequence[str] | None) -> Array | None:
        """The ids of the words that come into question, as they stand in the vocabulary or are tokenized."""
        if targets is None:
            return None
        vocabulary = self.tokenizer.get_vocab()
        ids: dict[int, None] = {}
        for word in [targets] if isinstance(targets, str) else targets:
            known = vocabulary.get(word)
            tokens = self.tokenizer.encode(word, add_special_tokens=False) if known is None else [known]
            if len(tokens) != 1 or tokens[0] == self.tokenizer.unk_token_id:
                pieces = " ".join(self.tokenizer.convert_ids_to_tokens(tokens)) or "nothing"
                raise InputError(
                    f"The target {word!r} is no single token of this model ({pieces}), so it has no score at a mask."
                )
            ids[tokens[0]] = None
        if not ids:
            raise InputError("targets holds no word; leave it out to consider all of them.")
        return np.array(list(ids))
