"""Text as it is written: pieces that join to the text that decoding everything at once gives."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from queue import Queue
from typing import Any, TextIO

from torch import Tensor


class BaseStreamer:
    """Gets what ``generate`` writes: ``put`` with the prompt ``[rows, n]``, then tokens ``[rows]``; ``end`` at last."""

    def put(self, value: Tensor) -> None:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError


class TextStreamer(BaseStreamer):
    """Hands text on as soon as it is certain; by default prints it.

    Text is held back while its last bytes are no whole character. Several rows are told apart by ``row``.

    Args:
        tokenizer: decodes ids to text.
        skip_prompt: leave the prompt out.
        on_text: called as ``on_text(text, row, stream_end)`` in place of printing.
        **decode_kwargs: for ``tokenizer.decode``, such as ``skip_special_tokens=True``.
    """

    def __init__(
        self,
        tokenizer: Any,
        skip_prompt: bool = False,
        on_text: Callable[[str, int, bool], None] | None = None,
        file: TextIO | None = None,
        **decode_kwargs: Any,
    ) -> None:
        self.tokenizer, self.skip_prompt, self.decode_kwargs = tokenizer, skip_prompt, decode_kwargs
        self._on_text, self._file = on_text, file
        self._rows: list[_Row] = []
        self._prompt = True

    def put(self, value: Tensor) -> None:
        ids = value[None] if value.dim() == 1 and self._prompt else value
        if self._prompt:
            self._rows = [_Row(self.tokenizer, self.decode_kwargs) for _ in range(ids.shape[0])]
        rows = ids.tolist()
        skip = self._prompt and self.skip_prompt
        self._prompt = False
        if skip:
            return
        for number, (row, new) in enumerate(zip(self._rows, rows, strict=True)):
            text = row.add(new if isinstance(new, list) else [new])
            if text:
                self.on_finalized_text(text, False, number)

    def end(self) -> None:
        for number, row in enumerate(self._rows):
            self.on_finalized_text(row.rest(), True, number)
        self._rows, self._prompt = [], True

    def on_finalized_text(self, text: str, stream_end: bool = False, row: int = 0) -> None:
        """Called with each piece of ``row``; ``stream_end`` True at its last, which may be empty."""
        if self._on_text is not None:
            self._on_text(text, row, stream_end)
        else:
            print(text, end="\n" if stream_end else "", flush=True, file=self._file or sys.stdout)


class _Row:
    """The tokens of one row whose text was not handed on yet, after a few that were."""

    def __init__(self, tokenizer: Any, decode_kwargs: dict[str, Any]) -> None:
        self.tokenizer, self.decode_kwargs = tokenizer, decode_kwargs
        self.tokens: list[int] = []
        self.given = ""

    def _text(self) -> str:
        text: str = self.tokenizer.decode(self.tokens, **self.decode_kwargs)
        return text

    def add(self, tokens: list[int]) -> str:
        self.tokens += [token for token in tokens if token >= 0]
        text = self._text()
        # What a later token may still change stays back: an unfinished character, or a word that may be drawn nearer.
        certain = text[: max(0, text.rfind(" "))] if self.tokenizer.is_wordpiece else text.rstrip("\ufffd")
        if not certain.startswith(self.given) or len(certain) == len(self.given):
            return ""
        piece, self.given = certain[len(self.given) :], certain
        return piece

    def rest(self) -> str:
        text = self._text()
        return text[len(self.given) :] if text.startswith(self.given) else ""


class TextIteratorStreamer(TextStreamer):
    """Text to iterate over while ``generate`` runs in a thread of its own; of several rows, ``(row, text)`` pairs.

    Args:
        timeout: seconds to wait for the next piece at most.
    """

    def __init__(
        self, tokenizer: Any, skip_prompt: bool = False, timeout: float | None = None, **decode_kwargs: Any
    ) -> None:
        super().__init__(tokenizer, skip_prompt, **decode_kwargs)
        self.timeout = timeout
        self._queue: Queue[Any] = Queue()

    def on_finalized_text(self, text: str, stream_end: bool = False, row: int = 0) -> None:
        if text:
            self._queue.put(text if len(self._rows) == 1 else (row, text))

    def end(self) -> None:
        super().end()
        self._queue.put(None)

    def __iter__(self) -> Iterator[Any]:
        while (piece := self._queue.get(timeout=self.timeout)) is not None:
            yield piece


class AsyncTextIteratorStreamer(TextStreamer):
    """As ``TextIteratorStreamer``, for ``async for`` in the event loop that it was made in."""

    def __init__(self, tokenizer: Any, skip_prompt: bool = False, **decode_kwargs: Any) -> None:
        super().__init__(tokenizer, skip_prompt, **decode_kwargs)
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Any] = asyncio.Queue()

    def on_finalized_text(self, text: str, stream_end: bool = False, row: int = 0) -> None:
        if text:
            self._hand_over(text if len(self._rows) == 1 else (row, text))

    def end(self) -> None:
        super().end()
        self._hand_over(None)

    def _hand_over(self, piece: Any) -> None:
        self._loop.call_soon_threadsafe(self._queue.put_nowait, piece)

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (piece := await self._queue.get()) is not None:
            yield piece
