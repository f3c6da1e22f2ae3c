"""Batches of texts that are their own labels: every next token, or tokens that are masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from headway.errors import InputError
from headway.heads.losses import IGNORED
from headway.tokenization.tokenizer import Tokenizer
from headway.training.collators.columns import columns_of
from headway.training.collators.padding import PaddingCollator
from headway.training.collators.words import continuations, word_numbers


@dataclass
class DataCollatorForLanguageModeling(PaddingCollator):
    """Pads inputs and makes ``labels [rows, width]`` of them, -100 at padding.

    With ``mlm``, BERT's task (Devlin et al. 2018, arXiv:1810.04805): tokens are drawn, most of them are replaced, and
    they alone are labels; special tokens are never drawn. Without, the labels are the tokens, or the ``labels`` that
    the examples bring along; padding is told by its place, so that an end-of-sequence token is learnt although
    it may serve as padding too.

    Args:
        tokenizer: as in ``DataCollatorWithPadding``.
        mlm: mask tokens.
        whole_word_mask: draw words, and with a word all of its tokens.
        mlm_probability: the share of tokens, or words, to draw.
        mask_replace_prob: the share of the drawn that becomes the mask token.
        random_replace_prob: the share of the drawn that becomes any token; the rest stays as it is.
        pad_to_multiple_of: round the length up to a multiple.
        return_tensors: "pt" or "np".
        seed: draw from a generator of its own, one for each worker of a data loader, whose state ``state_dict`` tells;
            without one, torch's global generator draws.

    Raises:
        InputError: a share is out of range, the tokenizer has no mask token, or its words cannot be told apart.
    """

    tokenizer: Tokenizer
    mlm: bool = True
    whole_word_mask: bool = False
    mlm_probability: float = 0.15
    mask_replace_prob: float = 0.8
    random_replace_prob: float = 0.1
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"
    seed: int | None = None
    _generator: torch.Generator | None = field(default=None, init=False, repr=False, compare=False)
    _worker: int | None = field(default=None, init=False, repr=False, compare=False)
    _continues: Tensor | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("mlm_probability", "mask_replace_prob", "random_replace_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}={getattr(self, name)!r} is out of range; it is a share, from 0 to 1.")
        if self.mask_replace_prob + self.random_replace_prob > 1:
            raise InputError("mask_replace_prob and random_replace_prob are shares of one whole; their sum is above 1.")
        if self.mlm and self.tokenizer.mask_token_id is None:
            raise InputError("This tokenizer has no mask token; pass mlm=False to learn the next token of each.")
        if self.whole_word_mask:
            if not self.mlm:
                raise InputError("whole_word_mask=True masks words, so it needs mlm=True.")
            self._continues = continuations(self.tokenizer)

    def collate(self, features: Sequence[Any]) -> dict[str, Tensor]:
        columns = columns_of([row if isinstance(row, Mapping) else {"input_ids": row} for row in features])
        columns.pop("offset_mapping", None)
        if self.mlm:
            columns.pop("labels", None)
        batch = self.inputs(columns, {"labels": IGNORED})
        ids, special = batch["input_ids"], batch.pop("special_tokens_mask", None)
        real = batch["attention_mask"].bool() if "attention_mask" in batch else torch.ones_like(ids, dtype=torch.bool)
        if not self.mlm:
            return {"labels": ids.where(real, IGNORED), **batch}
        if special is None:
            special = torch.isin(ids, torch.tensor(self.tokenizer.all_special_ids))
        batch["input_ids"], batch["labels"] = self._masked(ids, real & ~special.bool())
        return batch

    def _masked(self, ids: Tensor, eligible: Tensor) -> tuple[Tensor, Tensor]:
        """The ids as the model reads them, and the labels; both ``[rows, width]``."""
        generator, mask = self._random(), self.tokenizer.mask_token_id
        assert mask is not None
        draws = torch.rand(ids.shape, generator=generator)
        if self._continues is not None:
            draws = draws.gather(1, word_numbers(self._continues[ids], eligible))
        drawn = eligible & (draws < self.mlm_probability)
        fate = torch.rand(ids.shape, generator=generator)
        others = torch.randint(len(self.tokenizer), ids.shape, generator=generator)
        replaced = drawn & (fate < self.mask_replace_prob + self.random_replace_prob)
        masked = drawn & (fate < self.mask_replace_prob)
        read = ids.where(~replaced, others).masked_fill(masked, mask)
        return read, ids.where(drawn, IGNORED)

    def _random(self) -> torch.Generator | None:
        """Where random numbers come from; None stands for torch's global generator."""
        if self.seed is None:
            return None
        info = get_worker_info()
        worker = None if info is None else info.id
        if self._generator is None or self._worker != worker:  # a worker is handed a copy of the main process's
            self._generator = torch.Generator().manual_seed(self.seed + (worker or 0))
            self._worker = worker
        return self._generator

    def state_dict(self) -> dict[str, Tensor]:
        """The state of the collator's own generator, empty without a ``seed``."""
        generator = self._random()
        return {} if generator is None else {"generator": generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what ``state_dict`` told."""
        generator = self._random()
        if generator is not None:
            generator.set_state(state["generator"])


@dataclass
class DataCollatorForWholeWordMask(DataCollatorForLanguageModeling):
    """``DataCollatorForLanguageModeling`` that masks whole words."""

    whole_word_mask: bool = True
