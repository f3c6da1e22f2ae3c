"""``GenerationConfig``: how a model writes, as ``generation_config.json`` and the arguments of ``generate`` say."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from headway.config import PreTrainedConfig, take_source_keywords
from headway.errors import InputError, did_you_mean
from headway.io.atomic import atomic_folder, write_file
from headway.io.hub import locate
from headway.io.source import Source

FILE_NAME = "generation_config.json"

# What holds where nobody says otherwise.
DEFAULTS: dict[str, Any] = {
    "max_new_tokens": 20,
    "do_sample": False,
    "num_beams": 1,
    "early_stopping": False,
    "length_penalty": 1.0,
    "num_return_sequences": 1,
    "temperature": 1.0,
    "top_k": 50,
    "use_cache": True,
    "num_assistant_tokens": 5,
    "max_matching_ngram_size": 2,
    "renormalize_logits": False,
    "remove_invalid_values": False,
    "output_scores": False,
    "output_logits": False,
    "output_attentions": False,
    "output_hidden_states": False,
    "return_dict_in_generate": False,
}

# Keys that files have and that ask for nothing here.
_WITHOUT_EFFECT = frozenset(
    ("transformers_version", "_from_model_config", "cache_config", "compile_config", "disable_compile", "low_memory")
)


@dataclass(kw_only=True)
class GenerationConfig:
    """How to write. A field that is None is not said, and the model's own or the default holds.

    Attributes:
        max_new_tokens: tokens to write at most (default 20); ``max_length`` counts the prompt too.
        min_new_tokens, min_length: before that many tokens no end of sequence is written.
        max_time: seconds after which no further token is begun.
        stop_strings: texts that end a row; ``generate`` needs a ``tokenizer`` for them.
        do_sample: draw tokens in place of taking the likeliest.
        num_beams: sequences kept by beam search; ``early_stopping`` True stops once as many are finished, False when
            no better one is likely, ``"never"`` when none is possible. ``length_penalty`` is the exponent of the
            length by which scores are divided. ``num_beam_groups`` part the beams into groups, which write different
            texts: each keeps away by ``diversity_penalty`` from the tokens of those before it.
        temperature, top_k, top_p, min_p, typical_p, epsilon_cutoff, eta_cutoff, top_n_sigma: what sampling draws from.
        penalty_alpha: with ``top_k``, contrastive search (Su et al. 2022, arXiv:2202.06417).
        prompt_lookup_num_tokens: guess that many tokens at once from the text so far; ``num_assistant_tokens`` is how
            many an ``assistant_model`` guesses (Leviathan et al. 2022, arXiv:2211.17192).
        guidance_scale: weight of the prompt against ``negative_prompt_ids`` (Sanchez et al. 2023, arXiv:2306.17806).
        repetition_penalty, encoder_repetition_penalty, frequency_penalty, presence_penalty: against tokens that the
            text or the encoder's input holds already (Keskar et al. 2019, arXiv:1909.05858).
        no_repeat_ngram_size, encoder_no_repeat_ngram_size: tokens in a row that are not written twice.
        bad_words_ids, suppress_tokens, begin_suppress_tokens: tokens that are not written, the last ones not at first.
        forced_bos_token_id, forced_eos_token_id: tokens that are written first and last.
        sequence_bias, exponential_decay_length_penalty: what is added to scores.
        remove_invalid_values, renormalize_logits: what is made of scores that are no numbers, and of all in the end.
        cache_implementation: ``"dynamic"`` grows as needed, ``"static"`` takes all its memory at once, ``"quantized"``
            keeps eight-bit numbers.
        extra: keys of a file that mean nothing here; kept and written back.
    """

    max_length: int | None = None
    max_new_tokens: int | None = None
    min_length: int | None = None
    min_new_tokens: int | None = None
    max_time: float | None = None
    stop_strings: str | list[str] | None = None

    do_sample: bool | None = None
    num_beams: int | None = None
    num_beam_groups: int | None = None
    diversity_penalty: float | None = None
    early_stopping: bool | str | None = None
    length_penalty: float | None = None
    num_return_sequences: int | None = None
    penalty_alpha: float | None = None
    prompt_lookup_num_tokens: int | None = None
    max_matching_ngram_size: int | None = None
    num_assistant_tokens: int | None = None
    guidance_scale: float | None = None

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    epsilon_cutoff: float | None = None
    eta_cutoff: float | None = None
    top_n_sigma: float | None = None

    repetition_penalty: float | None = None
    encoder_repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    no_repeat_ngram_size: int | None = None
    encoder_no_repeat_ngram_size: int | None = None
    bad_words_ids: list[list[int]] | None = None
    sequence_bias: Any = None
    suppress_tokens: list[int] | None = None
    begin_suppress_tokens: list[int] | None = None
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | list[int] | None = None
    exponential_decay_length_penalty: Any = None
    remove_invalid_values: bool | None = None
    renormalize_logits: bool | None = None

    use_cache: bool | None = None
    cache_implementation: str | None = None

    output_scores: bool | None = None
    output_logits: bool | None = None
    output_attentions: bool | None = None
    output_hidden_states: bool | None = None
    return_dict_in_generate: bool | None = None

    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    decoder_start_token_id: int | list[int] | None = None

    extra: dict[str, Any] = field(default_factory=dict)

    # --- reading and writing ---------------------------------------------------------------------------------------

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """A config of a file's keys; those that mean nothing here are kept in ``extra``."""
        known = {name: value for name, value in values.items() if name in NAMES}
        rest = {name: value for name, value in values.items() if name not in NAMES and name not in _WITHOUT_EFFECT}
        return cls(**known, extra=rest)

    @classmethod
    def from_model_config(cls, config: PreTrainedConfig) -> Self:
        """What a model's ``config.json`` says of writing: older checkpoints keep such keys there."""
        found = {name: value for name in NAMES if (value := config.__dict__.get(name)) is not None}
        # Of a forward pass, not of writing.
        for name in ("use_cache", "output_attentions", "output_hidden_states"):
            found.pop(name, None)
        return cls(**found)

    @classmethod
    def from_pretrained(cls, pretrained_model_name: str | os.PathLike[str], **kwargs: Any) -> Self:
        """Read ``generation_config.json`` of a folder or a hub id; ``kwargs`` override its fields.

        Raises:
            CheckpointError: there is no such file.
            InputError: an argument is unknown.
        """
        source = locate(pretrained_model_name, **take_source_keywords(kwargs))
        source.require(FILE_NAME)
        return cls.from_dict(source.read_json(FILE_NAME) or {}).updated(kwargs)

    def to_dict(self) -> dict[str, Any]:
        """All that is said."""
        said = {name: value for name in sorted(NAMES) if (value := getattr(self, name)) is not None}
        return {**said, **self.extra}

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Write ``generation_config.json`` into a folder, which is made where it is missing."""
        with atomic_folder(Path(save_directory)) as folder:
            write_file(folder / FILE_NAME, self.to_json_string().encode())

    def to_json_string(self) -> str:
        """``to_dict`` as JSON with sorted keys."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"

    # --- putting together ------------------------------------------------------------------------------------------

    def updated(self, values: Mapping[str, Any]) -> Self:
        """A config in which ``values`` hold, None meaning the default, and for what they do not say this one.

        Raises:
            InputError: a name is unknown, or ``values`` give both ``max_length`` and ``max_new_tokens``.
        """
        for name in values:
            if name not in NAMES:
                raise InputError(f"GenerationConfig has no field {name!r}.{did_you_mean(name, NAMES)}")
        said = dict(values)
        for length, new in (("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")):
            if said.get(length) is not None and said.get(new) is not None:
                raise InputError(
                    f"{length}={said[length]} and {new}={said[new]} say the same thing twice; pass {new}, which does "
                    "not count the prompt."
                )
            # Who says one of the two means it in place of the other.
            for one, other in ((length, new), (new, length)):
                if said.get(one) is not None:
                    said[other] = None
        return replace(self, **said)

    def resolved(self) -> Self:
        """A config in which defaults stand for what is not said, checked for contradictions."""
        missing = {name: value for name, value in DEFAULTS.items() if getattr(self, name) is None}
        if self.max_length is not None:
            missing.pop("max_new_tokens", None)
        found = replace(self, **missing)
        if self.max_new_tokens is not None:  # a file may say both
            found.max_length = None
        found.validate()
        return found

    @property
    def eos_ids(self) -> list[int]:
        """The ids that end a row."""
        eos = self.eos_token_id
        return [] if eos is None else [eos] if isinstance(eos, int) else list(eos)

    def validate(self) -> None:
        """Check values by themselves and with each other.

        Raises:
            InputError: one is out of its range, or two contradict each other.
        """
        for name, lowest in _AT_LEAST.items():
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < lowest):
                raise InputError(f"{name}={value!r} is out of range; give an integer of at least {lowest}.")
        for name in ("temperature", "repetition_penalty", "encoder_repetition_penalty", "top_n_sigma", "max_time"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and value > 0):
                hint = "; for the likeliest token use do_sample=False" if name == "temperature" else ""
                raise InputError(f"{name}={value!r} is out of range; give a number above 0{hint}.")
        for name in ("top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and 0 <= value <= 1):
                raise InputError(f"{name}={value!r} is out of range; give a number from 0 to 1.")
        if self.early_stopping not in (None, True, False, "never"):
            raise InputError(f"early_stopping={self.early_stopping!r} is unknown; use True, False or 'never'.")
        beams, rows = self.num_beams or 1, self.num_return_sequences or 1
        if beams > 1 and rows > beams:
            raise InputError(f"num_return_sequences={rows} is more than num_beams={beams} can give; raise num_beams.")
        if beams == 1 and rows > 1 and not self.do_sample:
            raise InputError(
                f"num_return_sequences={rows} would be {rows} times the same text; set do_sample=True or num_beams."
            )
        groups, penalty = self.num_beam_groups or 1, self.diversity_penalty or 0.0
        if beams % groups:
            raise InputError(f"num_beams={beams} is no multiple of num_beam_groups={groups}; make it one.")
        if (groups > 1) != (penalty > 0):
            raise InputError(
                f"num_beam_groups={groups} and diversity_penalty={penalty} do not go together: groups write different "
                "texts by a penalty above 0 alone; set both, or neither."
            )
        if groups > 1 and self.do_sample:
            raise InputError(
                "num_beam_groups asks for the likeliest of different texts, do_sample for drawn ones; set one."
            )
        if self.contrastive and (self.do_sample or beams > 1):
            raise InputError("penalty_alpha asks for contrastive search, which neither samples nor keeps beams.")
        if self.cache_implementation not in (None, *CACHES):
            raise InputError(
                f"cache_implementation={self.cache_implementation!r} is unknown; headway has {', '.join(CACHES)}."
                f"{did_you_mean(str(self.cache_implementation), CACHES)}"
            )

    @property
    def contrastive(self) -> bool:
        """Do the fields ask for contrastive search?"""
        return bool(self.penalty_alpha) and (self.top_k or 0) > 1


NAMES = tuple(item.name for item in fields(GenerationConfig) if item.name != "extra")

CACHES = ("dynamic", "static", "quantized")

_AT_LEAST = {
    "max_length": 1,
    "max_new_tokens": 1,
    "min_length": 0,
    "min_new_tokens": 0,
    "num_beams": 1,
    "num_beam_groups": 1,
    "num_return_sequences": 1,
    "top_k": 0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "prompt_lookup_num_tokens": 1,
    "max_matching_ngram_size": 1,
    "num_assistant_tokens": 1,
}


def read_generation_config(source: Source, config: PreTrainedConfig) -> GenerationConfig:
    """The checkpoint's ``generation_config.json``, or what its ``config.json`` says of writing."""
    of_model = GenerationConfig.from_model_config(config)
    values = source.read_json(FILE_NAME)
    if values is None:
        return of_model
    found = GenerationConfig.from_dict(values)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"):
        if getattr(found, name) is None:
            setattr(found, name, getattr(of_model, name))
    return found
