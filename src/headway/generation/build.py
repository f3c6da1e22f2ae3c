"""From a config to the processors and criteria that it asks for, in the order in which they act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from headway.errors import InputError
from headway.generation import processors as p
from headway.generation import warpers as w
from headway.generation.config import GenerationConfig
from headway.generation.constraint import Constraint
from headway.generation.stopping import MaxTimeCriteria, StoppingCriteriaList, StopStringCriteria


def processors_for(
    config: GenerationConfig,
    ids: Tensor,
    limits: Tensor,
    encoder_ids: Tensor,
    allowed: Callable[[int, Tensor], Sequence[int]] | None = None,
    own: Sequence[Callable[[Tensor, Tensor], Tensor]] = (),
    first: int = 0,
    constraint: Constraint | None = None,
) -> p.LogitsProcessorList:
    """The processors of a call.

    Args:
        ids: the prompts, ``[rows, width]``, negative in front of the shorter ones.
        limits: columns at which rows end, ``[rows]``.
        encoder_ids: an encoder's input, or the prompts.
        allowed: the caller's ``prefix_allowed_tokens_fn``.
        own: the caller's processors, which act after those of the config and before what sampling leaves out.
        first: the number of the first row, for ``allowed``.
        constraint: the grammars of the prompts, which have the last word.
    """
    found, eos, width, beams = p.LogitsProcessorList(), config.eos_ids, ids.shape[1], config.num_beams or 1
    if config.sequence_bias:
        found.append(p.SequenceBiasLogitsProcessor(_biases(config.sequence_bias)))
    if config.encoder_repetition_penalty not in (None, 1.0):
        found.append(p.EncoderRepetitionPenaltyLogitsProcessor(config.encoder_repetition_penalty, encoder_ids))
    if config.repetition_penalty not in (None, 1.0):
        found.append(p.RepetitionPenaltyLogitsProcessor(config.repetition_penalty))
    if config.frequency_penalty or config.presence_penalty:
        found.append(
            p.FrequencyPenaltyLogitsProcessor(config.frequency_penalty or 0.0, config.presence_penalty or 0.0, width)
        )
    if config.no_repeat_ngram_size:
        found.append(p.NoRepeatNGramLogitsProcessor(config.no_repeat_ngram_size))
    if config.encoder_no_repeat_ngram_size:
        found.append(p.EncoderNoRepeatNGramLogitsProcessor(config.encoder_no_repeat_ngram_size, encoder_ids))
    if config.bad_words_ids:
        found.append(p.NoBadWordsLogitsProcessor(config.bad_words_ids, eos))
    if config.min_length and eos:
        # A row is as long as it is without padding.
        least = width + config.min_length - (ids >= 0).sum(1)
        found.append(p.MinLengthLogitsProcessor(least, eos))
    if config.min_new_tokens and eos:
        found.append(p.MinNewTokensLengthLogitsProcessor(width, config.min_new_tokens, eos))
    if allowed is not None:
        found.append(p.PrefixConstrainedLogitsProcessor(allowed, beams, first))
    if config.forced_bos_token_id is not None:
        found.append(p.ForcedBOSTokenLogitsProcessor(config.forced_bos_token_id))
    if config.forced_eos_token_id is not None:
        forced = config.forced_eos_token_id
        ends = [forced] if isinstance(forced, int) else list(forced)
        found.append(p.ForcedEOSTokenLogitsProcessor(limits, ends))
    if config.remove_invalid_values:
        found.append(p.InfNanRemoveLogitsProcessor())
    if config.exponential_decay_length_penalty is not None:
        found.append(p.ExponentialDecayLengthPenalty(config.exponential_decay_length_penalty, eos, width))
    if config.suppress_tokens:
        found.append(p.SuppressTokensLogitsProcessor(config.suppress_tokens))
    if config.begin_suppress_tokens:
        begin = width if width > 1 or config.forced_bos_token_id is None else width + 1
        found.append(p.SuppressTokensAtBeginLogitsProcessor(config.begin_suppress_tokens, begin))
    found.extend(own)
    if constraint is not None:
        # A first token that is forced stands before the text, a last one is its end wherever it stands.
        start = width + (width == 1 and config.forced_bos_token_id is not None)
        forced_at = None if config.forced_eos_token_id is None else limits
        found.append(constraint.processor(start, forced_at, alone=beams == 1))
    found.extend(last_processors_for(config))
    return found


def last_processors_for(config: GenerationConfig) -> p.LogitsProcessorList:
    """Those that act last and on scores alone: what leaves out unlikely tokens where they are drawn."""
    found = p.LogitsProcessorList()
    if config.do_sample:
        found.extend(_warpers(config))
    if config.renormalize_logits:
        found.append(p.LogitNormalization())
    return found


def _warpers(config: GenerationConfig) -> list[p.LogitsProcessor]:
    """What leaves out unlikely tokens; beams need as many as could end and one more."""
    least = 1 if (config.num_beams or 1) == 1 else max(2, len(config.eos_ids) + 1)
    found: list[p.LogitsProcessor] = []
    if config.temperature not in (None, 1.0):
        found.append(w.TemperatureLogitsWarper(config.temperature))
    if config.top_n_sigma is not None:
        found.append(w.TopNSigmaLogitsWarper(config.top_n_sigma))
    if config.top_k:
        found.append(w.TopKLogitsWarper(config.top_k, least))
    if config.top_p is not None and config.top_p < 1:
        found.append(w.TopPLogitsWarper(config.top_p, least))
    if config.min_p:
        found.append(w.MinPLogitsWarper(config.min_p, least))
    if config.typical_p is not None and 0 < config.typical_p < 1:
        found.append(w.TypicalLogitsWarper(config.typical_p, least))
    if config.epsilon_cutoff:
        found.append(w.EpsilonLogitsWarper(config.epsilon_cutoff, least))
    if config.eta_cutoff:
        found.append(w.EtaLogitsWarper(config.eta_cutoff, least))
    return found


def criteria_for(
    config: GenerationConfig, width: int, tokenizer: Any = None, own: Sequence[Callable[..., Any]] = ()
) -> StoppingCriteriaList:
    """The criteria of a call besides lengths and the end of sequence.

    Raises:
        InputError: there are ``stop_strings`` and no tokenizer to read the text with.
    """
    found = StoppingCriteriaList()
    if config.max_time is not None:
        found.append(MaxTimeCriteria(config.max_time))
    if config.stop_strings:
        if tokenizer is None:
            raise InputError("stop_strings are looked for in text: pass the tokenizer too, as generate(tokenizer=...).")
        found.append(StopStringCriteria(tokenizer, config.stop_strings, width))
    found.extend(own)
    return found


def _biases(given: Any) -> dict[tuple[int, ...], float]:
    """``sequence_bias`` as a dictionary, from one or from pairs ``[[ids, bias], ...]`` as JSON holds them."""
    pairs = given.items() if isinstance(given, dict) else given
    try:
        return {tuple(ids): float(bias) for ids, bias in pairs}
    except (TypeError, ValueError):
        raise InputError(f"sequence_bias={given!r} is no map of ids to bias; give {{(id, id): bias}}.") from None
