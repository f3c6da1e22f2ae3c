"""A conversation with a model, whose cache goes on from turn to turn."""

from __future__ import annotations

from typing import Any

from headway.errors import InputError
from headway.generation.streamers import TextStreamer
from headway.nn.cache import Cache


class Talk:
    """Messages to and fro.

    What a turn has in common with the turns before it is in the cache already, and is not computed again.

    Args:
        model: writes text.
        tokenizer: has a chat template.
        system: what the model is told first.
        **settings: for ``generate``.
    """

    def __init__(self, model: Any, tokenizer: Any, system: str | None = None, **settings: Any) -> None:
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self._first = [] if system is None else [{"role": "system", "content": system}]
        self.reset()

    def reset(self) -> None:
        """Forget everything but what the model is told first."""
        self.messages: list[dict[str, str]] = list(self._first)
        self._start()

    def forget_last(self) -> None:
        """Take back a message that got no answer."""
        while self.messages and self.messages[-1]["role"] == "user":
            self.messages.pop()
        self._start()

    def _start(self) -> None:
        self._cache = Cache()
        self._held: list[int] = []  # the ids that the cache knows

    def say(self, message: str, stream: bool = True) -> str:
        """Answer ``message``; with ``stream`` the answer is printed while it is written."""
        self.messages.append({"role": "user", "content": message})
        prompt = self.tokenizer.apply_chat_template(
            self.messages, add_generation_prompt=True, return_tensors="pt", return_dict=False
        )
        ids = prompt.reshape(1, -1)
        self._rewind(ids[0].tolist())
        streamer = TextStreamer(self.tokenizer, skip_prompt=True, skip_special_tokens=True) if stream else None
        written = self.model.generate(
            ids.to(self.model.device), past_key_values=self._cache, streamer=streamer, **self.settings
        )[0].tolist()
        self._held = written[: self._cache.get_seq_length()]
        answer: str = self.tokenizer.decode(written[ids.shape[1] :], skip_special_tokens=True)
        self.messages.append({"role": "assistant", "content": answer})
        return answer

    def _rewind(self, ids: list[int]) -> None:
        """Keep of the cache what ``ids`` begin with; the last of them is always computed."""
        common = 0
        for one, other in zip(self._held, ids[:-1], strict=False):
            if one != other:
                break
            common += 1
        try:
            if common == 0:
                self._cache = Cache()
            elif common < self._cache.get_seq_length():
                self._cache.crop(common)
        except InputError:  # a state, or a window, has let go of what came before
            self._cache = Cache()
