"""``generate``: from prompts and wishes to written ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from headway.errors import InputError, did_you_mean
from headway.generation.assisted import Draft, Guesser, PromptLookup, assisted
from headway.generation.beam import beam_search
from headway.generation.build import criteria_for, processors_for
from headway.generation.config import NAMES, GenerationConfig
from headway.generation.constraint import Constraint
from headway.generation.contrastive import contrastive_search
from headway.generation.decoder import NOTHING, Decoder, right_aligned
from headway.generation.grammar import grammars_of
from headway.generation.guidance import Guidance
from headway.generation.job import Job, Written
from headway.generation.processors import LogitsProcessorList
from headway.generation.sample import sample
from headway.nn.cache import Cache, QuantizedCache
from headway.nn.run import Memory
from headway.outputs import (
    GenerateBeamDecoderOnlyOutput,
    GenerateBeamEncoderDecoderOutput,
    GenerateDecoderOnlyOutput,
    GenerateEncoderDecoderOutput,
)

INPUTS = (
    *("input_ids", "attention_mask", "token_type_ids", "inputs_embeds", "past_key_values"),
    *("decoder_input_ids", "decoder_attention_mask", "encoder_outputs"),
)


@dataclass
class Callables:
    """What the caller adds to the search."""

    logits_processor: Sequence[Callable[[Tensor, Tensor], Tensor]] | None = None
    stopping_criteria: Sequence[Callable[..., Any]] | None = None
    prefix_allowed_tokens_fn: Callable[[int, Tensor], Sequence[int]] | None = None
    streamer: Any = None
    assistant_model: Any = None
    tokenizer: Any = None
    generator: torch.Generator | None = None
    negative_prompt_ids: Tensor | None = None
    negative_prompt_attention_mask: Tensor | None = None
    grammar: Any = None


def settings(
    model: Any, given: GenerationConfig | None, kwargs: dict[str, Any]
) -> tuple[GenerationConfig, dict[str, Any]]:
    """The config of a call and the model's inputs among ``kwargs``.

    Raises:
        InputError: a name is neither, or values contradict each other.
    """
    inputs = {name: kwargs.pop(name) for name in INPUTS if name in kwargs}
    for name in kwargs:
        if name not in NAMES:
            known = (*NAMES, *INPUTS, *Callables.__dataclass_fields__)
            raise InputError(f"generate takes no argument {name!r}.{did_you_mean(name, known)}")
    base: GenerationConfig = model.generation_config
    if given is not None:
        base = base.updated({name: value for name, value in given.to_dict().items() if name in NAMES})
    return base.updated(kwargs).resolved(), inputs


@torch.no_grad()
def generate(
    model: Any,
    inputs: Tensor | None,
    config: GenerationConfig,
    given: dict[str, Any],
    callables: Callables,
) -> Any:
    """Write text; see ``PreTrainedModel.generate``."""
    if inputs is not None:
        given = {"input_ids": inputs, **given}
    given = {name: value for name, value in given.items() if value is not None}
    was_training = model.training
    model.eval()
    try:
        job, source = prepare(model, config, given, callables)
        written = _search(model, config, job, given, callables)
        if job.streamer is not None:
            job.streamer.end()
    finally:
        model.train(was_training)
    ids = _as_given(written.ids, job, source)
    if not config.return_dict_in_generate:
        return ids
    return _output(job, written, ids, source)


@dataclass
class Source:
    """What the prompts were made of: the ids that the caller gave, and what an encoder made of its input."""

    ids: Tensor
    encoder: Any = None


def prepare(model: Any, config: GenerationConfig, given: dict[str, Any], callables: Callables) -> tuple[Job, Source]:
    """Read the prompts.

    Raises:
        InputError: inputs that do not fit each other, or nothing is left to write.
    """
    check_head(model)
    contrastive = config.contrastive
    wants = (bool(config.output_attentions), bool(config.output_hidden_states) or contrastive)
    cache = given.get("past_key_values")
    if model.task == "seq2seq-lm":
        job, source = _with_encoder(model, config, given, cache, wants)
    else:
        job, source = _decoder_only(model, config, given, cache, wants)
    encoder_ids = source.ids if source.encoder is None else given.get("input_ids", source.ids)
    mask = given.get("attention_mask")
    if mask is not None and mask.shape == encoder_ids.shape:
        encoder_ids = encoder_ids.masked_fill(mask == 0, NOTHING)
    _finish(job, config, callables, encoder_ids)
    job.keeps_rows = cache is not None
    return job, source


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
    model: Any, config: GenerationConfig, given: dict[str, Any], cache: Cache | None, wants: tuple[bool, bool]
) -> tuple[Job, Source]:
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
    decoder = Decoder(model, cache, None, *wants)
    types: Tensor | None = given.get("token_type_ids")
    if vectors is not None:
        scores = decoder.feed(ids, mask, vectors=vectors, types=types)
        return _job(decoder, ids, scores), Source(ids)
    rows = _history(ids, mask, "")
    if cache is not None and len(cache):
        return _job(decoder, rows, _go_on(decoder, rows)), Source(ids)
    if types is not None:
        types = _history(types, mask, "").clamp(min=0)
    return _job(decoder, rows, _read(decoder, rows, types=types)), Source(ids)


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


def _with_encoder(
    model: Any, config: GenerationConfig, given: dict[str, Any], cache: Cache | None, wants: tuple[bool, bool]
) -> tuple[Job, Source]:
    decoder = Decoder(model, None, None, *wants)
    encoder = model.encode(
        given.get("input_ids"),
        given.get("attention_mask"),
        given.get("inputs_embeds"),
        given.get("encoder_outputs"),
        decoder,
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
    return _job(decoder, history, scores), Source(ids, encoder)


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


def _job(decoder: Decoder, ids: Tensor, scores: Tensor) -> Job:
    """A job that says so far only where it begins."""
    none = LogitsProcessorList()
    limits = torch.zeros(ids.shape[0], dtype=torch.int64, device=ids.device)
    empty: Any = []
    return Job(decoder, ids, scores, GenerationConfig(), none, empty, limits, None, 0, lambda row: none)


def _finish(job: Job, config: GenerationConfig, callables: Callables, encoder_ids: Tensor) -> None:
    """Set what the config and the caller's callables ask for."""
    width, rows, device = job.width, job.ids.shape[0], job.ids.device
    if config.max_length is not None:
        lengths = (job.ids >= 0).sum(1)
        job.limits = width + config.max_length - lengths
        if int(job.limits.min()) <= width:
            raise InputError(
                f"max_length={config.max_length} leaves no room after a prompt of {int(lengths.max())} tokens; pass "
                "max_new_tokens, which does not count the prompt."
            )
    else:
        job.limits = torch.full((rows,), width + (config.max_new_tokens or 0), device=device)
    job.config = config
    eos = config.eos_ids
    job.eos = torch.tensor(eos, device=device) if eos else None
    # Rows need no id of their own behind their end: what stands there is to be cut off.
    job.pad = config.pad_token_id if config.pad_token_id is not None else eos[0] if eos else 0
    job.streamer, job.generator = callables.streamer, callables.generator
    if job.streamer is not None and (config.num_beams or 1) > 1:
        raise InputError("A streamer shows tokens as they are chosen, beams are so at the end alone; set num_beams=1.")

    constraint = None
    if callables.grammar is not None:
        grammars, spaced = grammars_of(callables.grammar, rows), job.decoder.memory is not None and width == 1
        constraint = Constraint(grammars, callables.tokenizer, eos, job.scores.shape[-1], spaced)
    own = [_shown(processor, job.pad) for processor in callables.logits_processor or ()]
    if config.guidance_scale not in (None, 1.0):
        if (config.num_beams or 1) > 1:
            raise InputError("guidance_scale follows one text of each row, which beams are not; set num_beams=1.")
        own.insert(0, Guidance(config.guidance_scale, job, callables))

    def processors(
        ids: Tensor, limits: Tensor, texts: Tensor, constraint: Constraint | None, first: int = 0
    ) -> LogitsProcessorList:
        allowed = callables.prefix_allowed_tokens_fn
        return processors_for(config, ids, limits, texts, allowed, own, first, constraint)

    job.row_processors = lambda row: processors(
        job.ids[row : row + 1],
        job.limits[row : row + 1],
        encoder_ids[row : row + 1],
        constraint and constraint.of(row),
        row,
    )
    if config.num_beams == 1:
        job.repeat(config.num_return_sequences or 1)
    job.processors = processors(job.ids, job.limits, encoder_ids, constraint)
    job.stopping = criteria_for(config, width, callables.tokenizer, callables.stopping_criteria or ())
    if job.streamer is not None:
        job.streamer.put(job.ids.cpu())


def _shown(processor: Callable[[Tensor, Tensor], Tensor], pad: int) -> Callable[[Tensor, Tensor], Tensor]:
    """A caller's processor, which sees the padding id where there is nothing."""
    return lambda ids, scores: processor(ids.masked_fill(ids < 0, pad), scores)


def _search(model: Any, config: GenerationConfig, job: Job, given: dict[str, Any], callables: Callables) -> Written:
    """Search as the config says."""
    if (config.num_beams or 1) > 1:
        return beam_search(job)
    if config.contrastive:
        return contrastive_search(job)
    guesser = _guesser(model, config, job, given, callables)
    if guesser is not None:
        if config.do_sample or config.return_dict_in_generate:
            raise InputError(
                "Guessed tokens are checked against greedy text, so an assistant_model or prompt_lookup_num_tokens "
                "goes neither with do_sample=True nor with return_dict_in_generate=True."
            )
        return assisted(job, guesser)
    return sample(job)


def _guesser(
    model: Any, config: GenerationConfig, job: Job, given: dict[str, Any], callables: Callables
) -> Guesser | None:
    if config.prompt_lookup_num_tokens:
        _check_takes_back(job.decoder)
        return PromptLookup(config.max_matching_ngram_size or 1)
    helper = callables.assistant_model
    if helper is None:
        return None
    _check_takes_back(job.decoder)
    mine, its = (m.get_output_embeddings().weight.shape[0] for m in (model, helper))
    if mine != its:
        raise InputError(f"assistant_model knows {its} tokens and the model {mine}; the two must share a tokenizer.")
    plain = replace(config, use_cache=True, prompt_lookup_num_tokens=None, guidance_scale=None)
    inputs = {name: value for name, value in given.items() if name not in ("past_key_values", "encoder_outputs")}
    draft, _ = prepare(helper, plain, inputs, Callables(tokenizer=callables.tokenizer))
    _check_takes_back(draft.decoder, " as the assistant")
    texts = [[token for token in row if token >= 0] for row in draft.ids.tolist()]
    return Draft(draft.decoder, texts, draft.scores)


def _check_takes_back(decoder: Decoder, role: str = "") -> None:
    if decoder.cache is not None and not decoder.cache.can_take_back:
        instead = "choose another assistant_model" if role else "pass use_cache=False, or write without guesses"
        raise InputError(
            f"Wrong guesses are taken back, but {type(decoder.model).__name__}{role} keeps one state of all tokens, "
            f"which cannot forget the last ones; {instead}."
        )


def _as_given(ids: Tensor, job: Job, source: Source) -> Tensor:
    """The written ids behind the prompts as the caller gave them, padding and all."""
    repeats = ids.shape[0] // source.ids.shape[0]
    return torch.cat((source.ids.repeat_interleave(repeats, 0), ids[:, job.width :]), 1)


def _output(job: Job, written: Written, ids: Tensor, source: Source) -> Any:
    config, recorded = job.config, job.decoder.recorded
    attentions = tuple(recorded.attentions) or None
    hidden = tuple(recorded.hidden) if config.output_hidden_states else None
    values: dict[str, Any] = {
        "sequences": ids,
        "scores": tuple(written.scores) or None,
        "logits": tuple(written.logits) or None,
        "past_key_values": job.decoder.cache,
    }
    beams = written.sequences_scores is not None
    if beams:
        values["sequences_scores"] = written.sequences_scores
        values["beam_indices"] = written.beam_indices
    if source.encoder is None:
        kind: Any = GenerateBeamDecoderOnlyOutput if beams else GenerateDecoderOnlyOutput
        return kind(**values, attentions=attentions, hidden_states=hidden)
    kind = GenerateBeamEncoderDecoderOutput if beams else GenerateEncoderDecoderOutput
    trace = source.encoder.trace
    return kind(
        **values,
        encoder_attentions=None if trace.attentions is None else tuple(trace.attentions),
        encoder_hidden_states=None if not config.output_hidden_states else tuple(trace.hidden),
        decoder_attentions=attentions,
        cross_attentions=tuple(recorded.cross) if attentions else None,
        decoder_hidden_states=hidden,
    )
