"""``PartwisePipeline``: tasks that write about a long text part by part."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from headway.errors import InputError
from headway.pipelines.cutting import Part, cut
from headway.pipelines.text2text_generation import Text2TextGenerationPipeline


class PartwisePipeline(Text2TextGenerationPipeline):
    """Text to text where a text that is too long can be read in parts; ``join`` says what becomes of the answers.

    A text is cut between paragraphs, sentences, clauses or words, into as few parts as the model takes, of about one
    length. Ids of tokens (``return_tensors``) are those of all parts in a row.
    """

    def divided(self, text: str, prefix: str, options: Any) -> list[Part]:
        limit = self.limit or 0
        encoding = self.tokenizer([text], verbose=False)[0]
        places = zip(encoding.sequence_ids, encoding.offsets, strict=True)
        starts = list(accumulate((start for sequence, (start, _) in places if sequence is not None), max))
        room = limit
        while room > 0:
            parts = cut(text, starts, room)
            # A part has its frame, its prefix, and now and then a token more than it had within the text.
            excess = max(len(ids) for ids in self.tokens([prefix + part.text for part in parts], options)) - limit
            if excess <= 0:
                return parts
            room -= excess
        raise InputError(f"The model takes {limit} tokens, which the prefix {prefix!r} fills: shorten it.")

    def join(self, texts: Sequence[str], parts: Sequence[Part]) -> str:
        """One text of those that were written about the parts."""
        return " ".join(text.strip() for text in texts)
