"""``generate`` writes what transformers' writes, token for token, each row as if it stood alone."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from headway import GenerationConfig
from parity.compare import assert_close
from parity.inputs import collate, make_rows
from parity.oracle import Cell, Pair, cells, pair

SPECIAL = {"pad_token_id": 1, "bos_token_id": 3, "eos_token_id": 2, "decoder_start_token_id": 3}
ENDS = {"eos_token_id": [2, 11, 23, 45]}

SETTINGS: dict[str, dict[str, Any]] = {
    "greedy": {"max_new_tokens": 12},
    "greedy-default-length": {},
    "greedy-total-length": {"max_length": 16},
    "greedy-ends": {**ENDS, "max_new_tokens": 12},
    "beams-3": {"num_beams": 3, "max_new_tokens": 10},
    "beams-5": {"num_beams": 5, "num_return_sequences": 3, "max_new_tokens": 10},
    "beams-early": {"num_beams": 3, "early_stopping": True, **ENDS, "max_new_tokens": 12},
    "beams-heuristic": {"num_beams": 3, "early_stopping": False, **ENDS, "max_new_tokens": 12},
    "beams-never": {"num_beams": 3, "early_stopping": "never", **ENDS, "length_penalty": 1.5, "max_new_tokens": 12},
    "beams-short": {"num_beams": 3, "length_penalty": -0.5, **ENDS, "max_new_tokens": 12},
    "beams-long": {"num_beams": 5, "length_penalty": 2.0, **ENDS, "max_new_tokens": 12},
    "beams-constrained": {
        "num_beams": 4,
        "no_repeat_ngram_size": 2,
        "repetition_penalty": 1.3,
        "min_new_tokens": 4,
        "max_new_tokens": 10,
        **ENDS,
    },
    "repetition": {"repetition_penalty": 1.7, "max_new_tokens": 12},
    "encoder-repetition": {"encoder_repetition_penalty": 1.5, "max_new_tokens": 10},
    "ngrams": {"no_repeat_ngram_size": 2, "max_new_tokens": 12},
    "encoder-ngrams": {"encoder_no_repeat_ngram_size": 1, "max_new_tokens": 8},
    "bad-words": {"bad_words_ids": [[5], [7, 8], [33], [42]], "max_new_tokens": 12},
    "biased": {"sequence_bias": [[[7], 4.0], [[7, 9], 6.0], [[42], -8.0]], "max_new_tokens": 12},
    "at-least": {"min_new_tokens": 8, **ENDS, "max_new_tokens": 12},
    "at-least-total": {"min_length": 12, **ENDS, "max_new_tokens": 12},
    "forced-end": {"forced_eos_token_id": 2, "max_new_tokens": 6},
    "forced-begin": {"forced_bos_token_id": 9, "max_new_tokens": 6},
    "suppressed": {"suppress_tokens": [33, 42, 8], "begin_suppress_tokens": [7, 67], "max_new_tokens": 8},
    "decaying": {"exponential_decay_length_penalty": (3, 1.6), **ENDS, "max_new_tokens": 12},
    "cleaned": {"remove_invalid_values": True, "renormalize_logits": True, "max_new_tokens": 6},
}

SAMPLING: dict[str, dict[str, Any]] = {
    "plain": {"top_k": 0},
    "default": {},
    "temperature": {"temperature": 0.6},
    "top-k": {"top_k": 5},
    "top-p": {"top_p": 0.8, "top_k": 0},
    "min-p": {"min_p": 0.2, "top_k": 0},
    "typical": {"typical_p": 0.7, "top_k": 0},
    "epsilon": {"epsilon_cutoff": 0.02, "top_k": 0},
    "eta": {"eta_cutoff": 0.02, "top_k": 0},
    "several": {"num_return_sequences": 3, "temperature": 1.3, "top_k": 20, "top_p": 0.9},
    "together": {"temperature": 0.8, "top_k": 30, "top_p": 0.95, "min_p": 0.01, "typical_p": 0.95, "eta_cutoff": 1e-3},
    "penalised": {"repetition_penalty": 1.4, "no_repeat_ngram_size": 2, "temperature": 1.1, "top_p": 0.9},
    "beams": {"num_beams": 3, "top_k": 30, "temperature": 1.2},
    "renormalised": {"top_k": 7, "renormalize_logits": True},
}


def writes(cell: Cell) -> bool:
    """Is the oracle's ``generate`` a judge of the cell? Its RoBERTas count positions otherwise there."""
    return cell.task in ("causal-lm", "seq2seq-lm") and (
        "position" not in judges_otherwise.get(cell.model_type, "") or cell.task == "seq2seq-lm"
    )


judges_otherwise = dict.fromkeys(("roberta", "xlm-roberta", "camembert"), "positions from the padding id on")

WRITERS = [cell for cell in cells() if writes(cell)]


def matrix(settings: dict[str, Any], part: int) -> Any:
    """Every writer with every setting; one in ``part`` by default, each setting and each writer among them."""
    params = []
    for cell in WRITERS:
        for name in settings:
            is_long = zlib.crc32(f"{cell} {name}".encode()) % part != 0
            params.append(
                pytest.param(cell, name, id=f"{cell.model_type}-{cell.task}-{name}", marks=[pytest.mark.long] * is_long)
            )
    return pytest.mark.parametrize(("cell", "name"), params)


def prepared(cell: Cell) -> Pair:
    """Both models, with the same special tokens and nothing else in their generation configs."""
    both = pair(cell)
    both.theirs.generation_config = transformers.GenerationConfig(**SPECIAL)
    both.ours.generation_config = GenerationConfig(**SPECIAL)
    return both


def prompts(cell: Cell, ragged: bool = False) -> list[dict[str, Tensor]]:
    """Each row's prompt, without a batch axis."""
    return [{"input_ids": row["input_ids"]} for row in make_rows(cell, ragged=ragged)]


def new_part(ids: Tensor, row: dict[str, Tensor], cell: Cell) -> list[int]:
    """What was written after one prompt, up to where only padding stands."""
    start = 1 if cell.task == "seq2seq-lm" else row["input_ids"].shape[-1]
    return trimmed(ids[start:].tolist())


def trimmed(ids: list[int]) -> list[int]:
    while ids and ids[-1] == SPECIAL["pad_token_id"]:
        ids.pop()
    return ids


@matrix(SETTINGS, part=6)
@torch.no_grad()
def test_a_ragged_batch_writes_what_the_oracle_writes_row_by_row(cell: Cell, name: str) -> None:
    both, rows, setting = prepared(cell), prompts(cell, ragged=True), SETTINGS[name]
    width = max(row["input_ids"].shape[-1] for row in rows)
    for side in ("left", "right"):
        found = both.ours.generate(**collate(rows, side), **setting)
        start = 1 if cell.task == "seq2seq-lm" else width
        count = setting.get("num_return_sequences", 1)
        for number, row in enumerate(rows):
            theirs = both.theirs.generate(**collate([row]), **setting)
            for one, other in zip(found[number * count : (number + 1) * count], theirs, strict=True):
                assert trimmed(one[start:].tolist()) == new_part(other, row, cell)


@matrix({name: SETTINGS[name] for name in ("greedy", "beams-3", "beams-early", "greedy-ends")}, part=3)
@torch.no_grad()
def test_ids_have_the_oracles_shape(cell: Cell, name: str) -> None:
    both, batch = prepared(cell), collate(prompts(cell))
    ours, theirs = (model.generate(**batch, **SETTINGS[name]) for model in (both.ours, both.theirs))
    assert torch.equal(ours, theirs)


@matrix(SAMPLING, part=4)
@torch.no_grad()
def test_sampling_draws_from_the_oracles_distribution(cell: Cell, name: str) -> None:
    """The same scores within 1e-6 after all processors, and with the same seed the same ids."""
    both, batch = prepared(cell), collate(prompts(cell))
    asked = {"do_sample": True, "max_new_tokens": 6, "return_dict_in_generate": True, "output_scores": True}
    found = []
    for model in (both.ours, both.theirs):
        torch.manual_seed(7)
        found.append(model.generate(**batch, **asked, **SAMPLING[name]))
    ours, theirs = found
    assert torch.equal(ours.sequences, theirs.sequences)
    written = ours.sequences[:, -len(ours.scores) :]
    for step, (one, other) in enumerate(zip(ours.scores, theirs.scores, strict=True)):
        if len(one) == len(written):
            # A row that has ended goes on with padding, of which some oracles count no positions.
            going = (written[:, :step] != SPECIAL["eos_token_id"]).all(1)
            one, other = one[going], other[going]
        assert torch.equal(one.isinf(), other.isinf())
        assert_close(one.masked_fill(one.isinf(), 0.0).exp(), other.masked_fill(other.isinf(), 0.0).exp())


@matrix({name: SETTINGS[name] for name in ("beams-5", "beams-never", "beams-constrained", "beams-early")}, part=4)
@torch.no_grad()
def test_scores_of_beams(cell: Cell, name: str) -> None:
    both, batch = prepared(cell), collate(prompts(cell))
    asked = {"return_dict_in_generate": True, "output_scores": True, "output_logits": True}
    ours, theirs = (model.generate(**batch, **SETTINGS[name], **asked) for model in (both.ours, both.theirs))
    assert torch.equal(ours.sequences, theirs.sequences)
    assert_close(ours.sequences_scores, theirs.sequences_scores)
    assert torch.equal(ours.beam_indices, theirs.beam_indices[:, : ours.beam_indices.shape[1]])
    assert (theirs.beam_indices[:, ours.beam_indices.shape[1] :] == -1).all()
    assert len(ours.logits) == len(theirs.logits)
    assert len(ours.scores) == len(theirs.scores)


@pytest.mark.parametrize("cell", WRITERS, ids=str)
@torch.no_grad()
def test_what_passes_recorded(cell: Cell) -> None:
    both, batch = prepared(cell), collate(prompts(cell))
    # Where nothing attends, transformers fails on being asked for weights.
    asked = {f"output_{name}": True for name in ("attentions", "hidden_states", "logits")}
    asked["output_attentions"] = cell.attends
    asked["return_dict_in_generate"] = True
    ours, theirs = (model.generate(**batch, **asked, max_new_tokens=4) for model in (both.ours, both.theirs))
    assert {*ours} - {"past_key_values"} == {*theirs} - {"past_key_values"}
    for name in {*ours} - {"past_key_values", "sequences"}:
        if "attentions" not in name:
            assert_close(ours[name], theirs[name], name)
            continue
        # A layer with a window shows the tokens that it keeps.
        for one, other in zip(flat(ours[name]), flat(theirs[name]), strict=True):
            shown = min(one.shape[-1], other.shape[-1])
            assert_close(one[..., -shown:], other[..., -shown:], name)


def flat(found: Any) -> list[Tensor]:
    return [found] if isinstance(found, Tensor) else [tensor for item in found for tensor in flat(item)]


@pytest.mark.parametrize("model_type", ["gpt2", "llama"])
@torch.no_grad()
def test_guidance(model_type: str) -> None:
    cell = Cell(model_type, "causal-lm")
    both, batch = prepared(cell), collate(prompts(cell))
    for negative in ({}, {"negative_prompt_ids": batch["input_ids"][:, 2:6].flip(1)}):
        asked = {"guidance_scale": 1.8, "max_new_tokens": 8, **negative}
        ours, theirs = (model.generate(**batch, **asked) for model in (both.ours, both.theirs))
        assert torch.equal(ours, theirs)
