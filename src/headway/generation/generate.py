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
from headway.generation.decoder import NOTHING, Decoder
from headway.generation.grammar import grammars_of
from headway.generation.guidance import Guidance
from headway.generation.job import Job, Written
from headway.generation.processors import LogitsProcessorList
from headway.generation.prompts import Prompts, read_prompts
from headway.generation.sample import sample
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
        prompts = read_prompts(model, config, given)
        job = _job(prompts, config, callables, _encoder_ids(prompts, given), "past_key_values" in given)
        written = _search(model, config, job, given, callables)
        if job.streamer is not None:
            job.streamer.end()
    finally:
        model.train(was_training)
    ids = _as_given(written.ids, prompts)
    if not config.return_dict_in_generate:
        return ids
    return _output(job, written, ids, prompts.encoder)


def _job(
    prompts: Prompts, config: GenerationConfig, callables: Callables, encoder_ids: Tensor, keeps_rows: bool
) -> Job:
    """What ``config`` and the caller's callables ask for after ``prompts``."""
    device, rows, width = prompts.ids.device, *prompts.ids.shape
    beams, eos = config.num_beams or 1, config.eos_ids
    if callables.streamer is not None and beams > 1:
        raise InputError("A streamer shows tokens as they are chosen, beams are so at the end alone; set num_beams=1.")
    if config.guidance_scale not in (None, 1.0) and beams > 1:
        raise InputError("guidance_scale follows one text of each row, which beams are not; set num_beams=1.")
    prompts.repeat(beams if beams > 1 else config.num_return_sequences or 1)
    ids, limits = prompts.ids, limits_of(config, prompts.ids)
    # Rows need no id of their own behind their end: what stands there is to be cut off.
    pad = config.pad_token_id if config.pad_token_id is not None else eos[0] if eos else 0
    constraint = None
    if callables.grammar is not None:
        grammars, spaced = grammars_of(callables.grammar, rows), prompts.decoder.memory is not None and width == 1
        constraint = Constraint(grammars, callables.tokenizer, eos, prompts.scores.shape[-1], spaced)
    own = [_shown(processor, pad) for processor in callables.logits_processor or ()]
    if config.guidance_scale not in (None, 1.0):
        negative = callables.negative_prompt_ids, callables.negative_prompt_attention_mask
        own.insert(0, Guidance(config.guidance_scale, prompts, *negative))

    def processors(
        ids: Tensor, limits: Tensor, texts: Tensor, constraint: Constraint | None, first: int = 0
    ) -> LogitsProcessorList:
        allowed = callables.prefix_allowed_tokens_fn
        return processors_for(config, ids, limits, texts, allowed, own, first, constraint)

    def of_row(row: int) -> LogitsProcessorList:
        one = slice(row, row + 1)
        return processors(ids[one], limits[one], encoder_ids[one], constraint and constraint.of(row), row)

    if callables.streamer is not None:
        callables.streamer.put(ids.cpu())
    return Job(
        prompts.decoder,
        ids,
        prompts.scores,
        config,
        processors(ids, limits, encoder_ids, constraint),
        criteria_for(config, width, callables.tokenizer, callables.stopping_criteria or ()),
        limits,
        torch.tensor(eos, device=device) if eos else None,
        pad,
        of_row,
        callables.streamer,
        callables.generator,
        keeps_rows,
    )


def limits_of(config: GenerationConfig, ids: Tensor) -> Tensor:
    """Columns at which the rows of the prompts ``ids`` end, ``[rows]``.

    Raises:
        InputError: nothing may be written behind a prompt.
    """
    rows, width = ids.shape
    if config.max_length is None:
        return torch.full((rows,), width + (config.max_new_tokens or 0), device=ids.device)
    lengths = (ids >= 0).sum(1)
    limits = width + config.max_length - lengths
    if int(limits.min()) <= width:
        raise InputError(
            f"max_length={config.max_length} leaves no room after a prompt of {int(lengths.max())} tokens; pass "
            "max_new_tokens, which does not count the prompt."
        )
    return limits


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
    plain = replace(config, use_cache=True)
    inputs = {name: value for name, value in given.items() if name not in ("past_key_values", "encoder_outputs")}
    draft = read_prompts(helper, plain, inputs)
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


def _encoder_ids(prompts: Prompts, given: dict[str, Any]) -> Tensor:
    """The ids of an encoder's input, or of the prompts, negative at padding."""
    ids: Tensor = prompts.given if prompts.encoder is None else given.get("input_ids", prompts.given)
    mask = given.get("attention_mask")
    return ids if mask is None or mask.shape != ids.shape else ids.masked_fill(mask == 0, NOTHING)


def _as_given(ids: Tensor, prompts: Prompts) -> Tensor:
    """The written ids behind the prompts as the caller gave them, padding and all."""
    given = prompts.given
    repeats = ids.shape[0] // given.shape[0]
    return torch.cat((given.repeat_interleave(repeats, 0), ids[:, prompts.ids.shape[1] :]), 1)


def _output(job: Job, written: Written, ids: Tensor, encoder: Any) -> Any:
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
    if encoder is None:
        kind: Any = GenerateBeamDecoderOnlyOutput if beams else GenerateDecoderOnlyOutput
        return kind(**values, attentions=attentions, hidden_states=hidden)
    kind = GenerateBeamEncoderDecoderOutput if beams else GenerateEncoderDecoderOutput
    trace = encoder.trace
    return kind(
        **values,
        encoder_attentions=None if trace.attentions is None else tuple(trace.attentions),
        encoder_hidden_states=None if not config.output_hidden_states else tuple(trace.hidden),
        decoder_attentions=attentions,
        cross_attentions=tuple(recorded.cross) if attentions else None,
        decoder_hidden_states=hidden,
    )
