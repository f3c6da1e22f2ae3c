"""Reading prompts: from a call's inputs to a decoder that has read them, and the scores of what follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from headway.errors import InputError
from headway.generation.config import GenerationConfig
from headway.generation.decoder import Decoder, right_aligned
from headway.nn.cache import Cache, QuantizedCache
from headway.nn.run import Memory, Wants


@dataclass
class Prompts:
    """Prompts that were read.

    Attributes:
        decoder: has read them.
        ids: ``[rows, width]``, negative in front of the shorter ones.
        scores: of the next token, ``[rows, vocabulary]``.
        given: the ids as the caller gave them, with their padding.
        encoder: the states that an encoder made of its input.
    """

    decoder: Decoder
    ids: Tensor
    scores: Tensor
    given: Tensor
    encoder: Any = None

    def repeat(self, count: int) -> None:
        """Let each row stand ``count`` times, one after the other."""
        if count > 1:
            rows = torch.arange(self.ids.shape[0], device=self.ids.device).repeat_interleave(count)
            self.decoder.select(rows)
            self.ids, self.scores = self.ids[rows], self.scores[rows]


def read_prompts(model: Any, config: GenerationConfig, given: dict[str, Any]) -> Prompts:
    """Read the prompts of a call.

    Raises:
        InputError: the model writes no text, or inputs do not fit each other.
    """
    check_head(model)
    wants = Wants(bool(config.output_attentions), bool(config.output_hidden_states) or config.contrastive)
    read = _with_encoder if model.task == "seq2seq-lm" else _decoder_only
    return read(model, config, given, given.get("past_key_values"), wants)


def check_head(model: Any) -> None:
    if getattr(model, "task", None) not in ("causal-lm", "seq2seq-lm"):
        raise InputError(
            f"{type(model).__name__} has no head that writes text; load the checkpoint with AutoModelForCausalLM or "
            "AutoModelForSeq2SeqLM."
        )


def _cache(given: Cache | None, config: GenerationConfig, width: int) -> Cache | None:
    """The caller's cache, or a new one as ``config`` asks for it, for prompts of ``width`` tokens."""
    if given is not None or not config.use_cache:
        return given
    if config.cache_implementation == "quantized":
        return QuantizedCache()
    static = config.cache_implementation == "static"
    return Cache(capacity=(config.max_length or width + (config.max_new_tokens or 0)) if static else 0)


def _decoder_only(
    model: Any, config: GenerationConfig, given: dict[str, Any], cache: Cache | None, wants: Wants
) -> Prompts:
    mask: Tensor | None = given.get("attention_mask")
    vectors: Tensor | None = given.get("inputs_embeds")
    ids: Tensor | None = given.get("input_ids")
    if ids is None and vectors is None:
        if config.bos_token_id is None:
            raise InputError("generate needs input_ids, or a bos_token_id to begin with.")
        ids = torch.full((1, 1), config.bos_token_id, device=model.device)
    if ids is None:
        assert vectors is not None
        ids = torch.empty(vectors.shape[0], 0, dtype=torch.int64, device=vectors.device)
    _check_ids(ids, "input_ids", empty=vectors is not None)
    cache = _cache(cache, config, ids.shape[1] if vectors is None else vectors.shape[1])
    decoder = Decoder(model, cache, None, wants)
    types: Tensor | None = given.get("token_type_ids")
    if vectors is not None:
        scores = decoder.feed(ids, mask, vectors=vectors, types=types)
        return Prompts(decoder, ids, scores, ids)
    rows = _history(ids, mask, "")
    if cache is not None and len(cache):
        return Prompts(decoder, rows, _go_on(decoder, rows), ids)
    if types is not None:
        types = _history(types, mask, "").clamp(min=0)
    return Prompts(decoder, rows, _read(decoder, rows, types=types), ids)


def _with_encoder(
    model: Any, config: GenerationConfig, given: dict[str, Any], cache: Cache | None, wants: Wants
) -> Prompts:
    decoder = Decoder(model, None, None, wants)
    encoder = model.encode(
        given.get("input_ids"),
        given.get("attention_mask"),
        given.get("inputs_embeds"),
        given.get("encoder_outputs"),
        wants,
    )
    decoder.memory = Memory(encoder.x, encoder.batch)
    ids: Tensor | None = given.get("decoder_input_ids")
    rows = encoder.batch.rows
    if ids is None:
        ids = starts_of(config, rows, encoder.x.device)
    _check_ids(ids, "decoder_input_ids")
    decoder.cache = cache = _cache(cache, config, ids.shape[1])
    mask = given.get("decoder_attention_mask")
    history = _history(ids, mask, "decoder_")
    begun = cache is not None and len(cache)
    scores = _go_on(decoder, history) if begun else _read(decoder, history)
    return Prompts(decoder, history, scores, ids, encoder)


def _read(decoder: Decoder, rows: Tensor, **extra: Any) -> Tensor:
    """Feed ``rows``, negative in front of the shorter ones."""
    real = rows >= 0
    return decoder.feed(rows, None, **extra) if bool(real.all()) else decoder.feed(rows * real, real.long(), **extra)


def _history(ids: Tensor, mask: Tensor | None, prefix: str) -> Tensor:
    """The real tokens of each row, ending together."""
    if mask is None:
        return ids
    if mask.shape != ids.shape:
        raise InputError(
            f"{prefix}attention_mask has shape {list(mask.shape)}, but {prefix}input_ids {list(ids.shape)}; give one "
            "number for each token."
        )
    return right_aligned([row[keep.bool()] for row, keep in zip(ids, mask, strict=True)])


def _go_on(decoder: Decoder, rows: Tensor) -> Tensor:
    """Read what of ``rows`` the cache does not hold yet; one row of a cache may be the beginning of all."""
    cache, count = decoder.cache, rows.shape[0]
    assert cache is not None
    if cache.rows == 1 and count > 1:
        cache.select(torch.zeros(count, dtype=torch.int64))
    if cache.rows != count:
        raise InputError(f"past_key_values holds {cache.rows} rows, but input_ids has {count}.")
    lengths = cache.row_lengths(count)
    texts = [row[row >= 0] for row in rows]
    for row, (text, length) in enumerate(zip(texts, lengths, strict=True)):
        if len(text) <= length:
            raise InputError(
                f"past_key_values holds {length} tokens of row {row}, but input_ids has {len(text)} with them; pass "
                "the whole text, of which one token or more is new, or crop the cache."
            )
    return _read(decoder, right_aligned([text[length:] for text, length in zip(texts, lengths, strict=True)]))


def starts_of(config: GenerationConfig, rows: int, device: torch.device) -> Tensor:
    """The id that a decoder begins with, ``[rows, 1]``."""
    start = config.decoder_start_token_id
    start = config.bos_token_id if start is None else start
    if start is None:
        raise InputError("The config names neither decoder_start_token_id nor bos_token_id; pass decoder_input_ids.")
    starts = torch.as_tensor(start, device=device).reshape(-1, 1)
    if starts.shape[0] not in (1, rows):
        raise InputError(f"decoder_start_token_id has {starts.shape[0]} ids, but there are {rows} rows.")
    return starts.expand(rows, 1).clone()


def _check_ids(ids: Tensor, name: str, empty: bool = False) -> None:
    if not isinstance(ids, Tensor) or ids.dim() != 2 or ids.is_floating_point() or (0 in ids.shape and not empty):
        got = list(ids.shape) if isinstance(ids, Tensor) else f"a {type(ids).__name__}"
        raise InputError(
            f"Expected {name} to be a tensor of integers [rows, tokens], got {got}; use return_tensors='pt' in the "
            "tokenizer, or generate_many for prompts of any length."
        )
