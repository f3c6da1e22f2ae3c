"""Mamba 2's mixer: every form is the recurrence, its state lives in the cache, and stacks may mix it with attention."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from headway import AutoConfig, AutoModelForCausalLM, Cache, spec
from headway.errors import ConfigError, InputError
from headway.models.assemble import model_class
from headway.nn.batch import batch_of
from headway.nn.builders import build
from headway.nn.kernels import sdpa
from headway.nn.mixers.state_space import in_chunks, one_token
from headway.nn.run import Run
from headway.nn.stack import Tokens
from small import one_sentence, same_state, small_checkpoint, small_config, small_model

IDS = torch.randint(5, 60, (3, 12), generator=torch.Generator().manual_seed(5))
LENGTHS = (3, 8, 5)


def model_of(task: str = "causal-lm", **options: Any) -> Any:
    return small_model("mamba2", task, **options)


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def padded(side: str = "left", lengths: tuple[int, ...] = LENGTHS) -> dict[str, Tensor]:
    """The first tokens of each row."""
    longest = max(lengths)
    ids, mask = torch.zeros(3, longest, dtype=torch.int64), torch.zeros(3, longest, dtype=torch.int64)
    for row, length in enumerate(lengths):
        place = slice(longest - length, longest) if side == "left" else slice(0, length)
        ids[row, place], mask[row, place] = IDS[row, :length], 1
    return {"input_ids": ids, "attention_mask": mask}


def compare_next(model: Any, cache: Cache, rows: list[int], lengths: list[int]) -> None:
    """From ``cache`` on, each row goes on as if it stood alone."""
    for step in range(2):
        column = torch.stack([IDS[row, length + step] for row, length in zip(rows, lengths, strict=True)])[:, None]
        logits = model(input_ids=column, past_key_values=cache).logits
        for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            alone = model(input_ids=IDS[row : row + 1, : length + step + 1], use_cache=False).logits
            close(logits[number], alone[0, -1:])


# --- forms of the recurrence --------------------------------------------------------------------------------------


def inputs(tokens: int) -> list[Tensor]:
    """Values, logarithms of decays, what is written and read of 2 rows, and a past."""
    torch.manual_seed(0)
    groups, heads, width, state = 2, 3, 4, 5
    x, decay = torch.randn(2, tokens, groups, heads, width), -torch.rand(2, tokens, groups, heads) * 2
    write, read = torch.randn(2, tokens, groups, state), torch.randn(2, tokens, groups, state)
    return [t.double().requires_grad_() for t in (x, decay, write, read, torch.randn(2, groups, heads, width, state))]


def recurrence(x: Tensor, decay: Tensor, write: Tensor, read: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
    """Token by token, as the paper has it."""
    state = x.new_zeros(*x.shape[:1], *x.shape[2:], write.shape[-1]) if past is None else past
    found = []
    for at in range(x.shape[1]):
        state = decay[:, at].exp()[..., None, None] * state + torch.einsum("rghw,rgn->rghwn", x[:, at], write[:, at])
        found.append(torch.einsum("rghwn,rgn->rghw", state, read[:, at]))
    return torch.stack(found, 1), state


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 13, 256])
@pytest.mark.parametrize("goes_on", [False, True])
def test_chunks_are_the_recurrence(chunk: int, goes_on: bool) -> None:
    *given, past = inputs(13)
    leaves = [*given, past] if goes_on else given
    found = in_chunks(*given, past if goes_on else None, chunk)
    expected = recurrence(*given, past if goes_on else None)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(sum(t.square().sum() for t in result), leaves) for result in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_one_token_is_the_recurrence() -> None:
    *given, past = inputs(1)
    y, state = one_token(*(t[:, 0] for t in given), past)
    torch.testing.assert_close((y[:, None], state), recurrence(*given, past))


def test_strong_decays_stay_finite() -> None:
    x, decay, write, read, _ = (t.detach().float() for t in inputs(40))
    y, state = in_chunks(x, decay * 1e4, write, read, None, 16)
    assert bool(y.isfinite().all() and state.isfinite().all())


@torch.no_grad()
def test_a_long_text_in_pieces() -> None:
    model, ids = model_of(chunk_size=64), torch.randint(5, 60, (2, 300), generator=torch.Generator().manual_seed(6))
    whole = model(input_ids=ids, use_cache=False).logits
    close(model_of(chunk_size=300)(input_ids=ids).logits, whole)
    cache, found = None, []
    for piece in ids.split((150, 1, 1, 1, 40, 107), 1):
        output = model(input_ids=piece, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        found.append(output.logits)
    close(torch.cat(found, 1), whole)


def test_gradients_flow_through_a_cache() -> None:
    model, found = model_of().train(), []
    for pieces in ((12,), (5, 1, 6)):
        cache, total = Cache(), torch.zeros(())
        for piece in IDS.split(pieces, 1):
            total = total + model(input_ids=piece, past_key_values=cache).logits.square().sum()
        total.backward()
        found.append([parameter.grad.clone() for parameter in model.parameters()])
        model.zero_grad()
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))


# --- the cache ----------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_what_a_cache_shows() -> None:
    model, cache = model_of(), Cache()
    model(input_ids=IDS[:, :1], past_key_values=cache)
    size = cache.nbytes
    window, state = cache[0]
    assert window.shape == (3, 3, 40)
    assert state.shape == (3, 2, 2, 4, 6)
    for at in range(1, 8):
        model(input_ids=IDS[:, at : at + 1], past_key_values=cache)
    assert (len(cache), cache.lengths, cache.get_seq_length()) == (2, 8, 8)
    assert cache.nbytes == size, "a state does not grow"
    assert state is not cache[0][1]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("rows", [[0, 1, 2], [2, 0], [1, 1, 2, 0], [0]])
@torch.no_grad()
def test_rows_of_their_own_lengths_are_selected(side: str, rows: list[int]) -> None:
    model = model_of()
    cache = model(**padded(side), use_cache=True).past_key_values
    assert cache.lengths == LENGTHS
    cache.select(torch.tensor(rows))
    compare_next(model, cache, rows, [LENGTHS[row] for row in rows])


@torch.no_grad()
def test_tokens_are_not_taken_back() -> None:
    model = model_of()
    cache = model(**padded(), use_cache=True).past_key_values
    assert not cache.can_take_back
    for take in (lambda: cache.take_back((0, 1, 0)), lambda: cache.crop(7), lambda: cache.crop(-1)):
        with pytest.raises(InputError, match="layers keep one state of all tokens") as caught:
            take()
        one_sentence(caught.value)
    cache.take_back((0, 0, 0))
    cache.crop(8)
    compare_next(model, cache, [0, 1, 2], list(LENGTHS))


@torch.no_grad()
def test_a_copy_goes_its_own_way() -> None:
    model = model_of()
    cache = model(input_ids=IDS[:, :4], use_cache=True).past_key_values
    model(input_ids=IDS[:, 8:9], past_key_values=copy.deepcopy(cache))
    compare_next(model, cache, [0, 1, 2], [4, 4, 4])


@torch.no_grad()
def test_a_cache_of_other_rows() -> None:
    model = model_of()
    for width in (1, 3):
        cache = model(input_ids=IDS[:, :4], use_cache=True).past_key_values
        with pytest.raises(InputError, match="holds 3 rows, but the input has 2"):
            model(input_ids=IDS[:2, :width], past_key_values=cache)


# --- stacks of several mixers -------------------------------------------------------------------------------------


def hybrid() -> Any:
    """A backbone in which one layer attends, and one mixes no channels."""
    norm = spec.RMSNorm(1e-5)
    states = spec.StateSpace(4, 4, 6, 2, norm, chunk=4)
    attention = spec.Attention(4, 4, causal=True, position=spec.Rotary(4))
    layers = (
        spec.Layer(states, None, spec.PreNorm(norm)),
        spec.Layer(attention, spec.Mlp(24, "gelu"), spec.PreNorm(norm)),
        spec.Layer(states, spec.GatedMlp(24, "silu"), spec.PreNorm(norm)),
    )
    made = build(spec.Decoder(spec.Stack(16, spec.Embed(60, 16), layers, norm)), False)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(float(parameter.dim() == 1), 0.2)
    return made


@torch.no_grad()
def test_states_and_keys_in_one_cache() -> None:
    backbone, cache = hybrid(), Cache()

    def run(ids: Tensor, mask: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        batch = batch_of(*ids.shape, ids.device, mask, None, 0 if cache is None else cache.lengths)
        found: Tensor = backbone.states(Tokens(ids), Run(batch, sdpa, cache)).unpacked
        return found

    given = padded()
    run(given["input_ids"], given["attention_mask"], cache)
    cache.select(torch.tensor([1, 0]))
    keys = cache[1][0].clone()
    with pytest.raises(InputError, match="cannot be taken back"):
        cache.take_back((1, 1))
    assert torch.equal(cache[1][0], keys), "nothing is taken back by halves"
    for step in range(2):
        found = run(torch.stack((IDS[1, 8 + step], IDS[0, 3 + step]))[:, None], None, cache)
        close(found[0], run(IDS[1:2, : 9 + step])[0, -1:])
        close(found[1], run(IDS[:1, : 4 + step])[0, -1:])
    assert cache.lengths == (10, 5)


@pytest.mark.parametrize("residual", get_args(spec.Residual))
@torch.no_grad()
def test_layers_without_a_channel_mixer(residual: Any) -> None:
    described = spec.Layer(spec.Attention(2, 4), None, residual(spec.RMSNorm(1e-6)))
    if residual in (spec.Parallel, spec.ParallelNorms):
        with pytest.raises(ConfigError, match="has nothing to stand side by side; take PreNorm") as caught:
            build(described, 8, ())
        one_sentence(caught.value)
        return
    layer = build(described, 8, ())
    assert not [name for name, _ in layer.named_parameters() if "mlp" in name]
    for parameter in layer.parameters():
        parameter.normal_()
    x, run = torch.randn(1, 3, 8), Run(batch_of(1, 3, torch.device("cpu")), sdpa)
    match residual:
        case spec.PostNorm:
            expected = layer.attn_norm(x + layer.attn(x, run))
        case spec.FirstPreNorm:
            expected = x + layer.attn(x, run)
        case spec.NormedResidual:
            expected = layer.attn_norm(x) + layer.attn(layer.attn_norm(x), run)
        case spec.ScaledPreNorm:
            expected = x + layer.attn_scale.weight * layer.attn(layer.attn_norm(x), run)
        case spec.Sandwich:
            expected = x + layer.attn_out_norm(layer.attn(layer.attn_norm(x), run))
        case _:
            expected = x + layer.attn(layer.attn_norm(x), run)
    assert torch.equal(layer(x, run), expected)


@torch.no_grad()
def test_sums_in_float32() -> None:
    """In a bfloat16 model, states between layers are float32 where the config says so, and heads get bfloat16."""
    for wide, dtype in ((True, torch.float32), (False, torch.bfloat16)):
        model = model_of(residual_in_fp32=wide).bfloat16()
        output = model(input_ids=IDS, output_hidden_states=True)
        assert [states.dtype for states in output.hidden_states] == [dtype, dtype, torch.bfloat16]
        assert output.logits.dtype == torch.bfloat16
        cache = model(input_ids=IDS[:, :6], use_cache=True).past_key_values
        assert cache[0][1].dtype == torch.float32
        again = model(input_ids=IDS[:, 6:], past_key_values=cache).logits
        torch.testing.assert_close(again, output.logits[:, 6:], rtol=0.1, atol=0.1)


# --- writing ------------------------------------------------------------------------------------------------------

STRATEGIES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "ends": {"eos_token_id": [2, *range(5, 60, 5)]},
    "beams": {"num_beams": 3},
    "contrastive": {"penalty_alpha": 0.6, "top_k": 4},
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_neither_padding_nor_the_batch_nor_the_cache_changes_what_is_written(strategy: str) -> None:
    model, asked = model_of(), {"max_new_tokens": 9, "pad_token_id": 1, **STRATEGIES[strategy]}
    alone = [model.generate(IDS[row : row + 1, :n], **asked)[0, n:].tolist() for row, n in enumerate(LENGTHS)]
    for more in ({}, {"use_cache": False}):
        for side in ("left", "right"):
            found = model.generate(**padded(side), **asked, **more)[:, max(LENGTHS) :].tolist()
            for one, other in zip(found, alone, strict=True):
                assert one[: len(other)] == other
                assert {*one[len(other) :]} <= {1}


def test_a_text_goes_on_from_a_cache() -> None:
    model = model_of()
    expected = model.generate(IDS, max_new_tokens=5)
    with torch.no_grad():
        cache = model(input_ids=IDS[:, :7], use_cache=True).past_key_values
    assert torch.equal(model.generate(IDS, past_key_values=cache, max_new_tokens=5), expected)


def test_guesses_need_a_past_that_can_be_taken_back() -> None:
    model, other = model_of(), small_model("llama", "causal-lm")
    for writer, asked, message in (
        (model, {"prompt_lookup_num_tokens": 3}, "pass use_cache=False, or write without guesses"),
        (model, {"assistant_model": other}, "pass use_cache=False, or write without guesses"),
        (other, {"assistant_model": model}, "Mamba2ForCausalLM as the assistant keeps one state"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            writer.generate(IDS, max_new_tokens=5, **asked)
        one_sentence(caught.value)
    greedy = model.generate(IDS, max_new_tokens=9)
    for asked in ({"prompt_lookup_num_tokens": 3}, {"assistant_model": other}):
        assert torch.equal(model.generate(IDS, max_new_tokens=9, use_cache=False, **asked), greedy)


# --- what does not fit, and what is new ---------------------------------------------------------------------------


def test_what_does_not_fit() -> None:
    with pytest.raises(InputError, match=r"pass an attention_mask of shape \[3, 12\]") as masked:
        model_of()(input_ids=IDS, attention_mask=torch.ones(3, 1, 12, 12))
    with pytest.raises(ConfigError, match="4 heads cannot be shared out to 3 groups") as shared:
        model_of(n_groups=3)
    with pytest.raises(ConfigError, match=r"num_heads . head_dim is not expand . hidden_size") as wide:
        model_of(expand=2)
    for caught in (masked, shared, wide):
        one_sentence(caught.value)


def test_values_of_a_new_model() -> None:
    torch.manual_seed(0)
    config = small_config("mamba2", num_heads=8, head_dim=2, time_step_min=0.01, time_step_max=0.2)
    mixer = model_class("mamba2", "causal-lm").from_config(config).requires_grad_(False).backbone.layers[1].attn
    close(mixer.A_log.exp(), torch.arange(1.0, 9.0))
    assert bool((mixer.D == 1).all() and (mixer.norm.weight == 1).all())
    steps = torch.nn.functional.softplus(mixer.dt_bias)
    assert 0.01 <= float(steps.min()) < float(steps.max()) <= 0.2
    assert float(mixer.conv.weight.abs().max()) <= 0.5
    assert not mixer.conv.bias.any()
    assert bool(mixer.conv.weight.std() > 0.2)


def test_files_of_the_first_code(tmp_path: Path) -> None:
    """They call the token table by another name, and their config says infinity as it likes."""
    folder, model = small_checkpoint(tmp_path, "mamba2", "causal-lm"), model_of()
    tensors = load_file(folder / "model.safetensors")
    renamed = {name.replace("embeddings.", "embedding."): tensor for name, tensor in tensors.items()}
    assert renamed.keys() != tensors.keys()
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    values = json.loads((folder / "config.json").read_text())
    assert values["time_step_limit"] == [0.0, math.inf]
    for limit in ([0.0, {"__float__": "Infinity"}], [0.0, math.inf]):
        (folder / "config.json").write_text(json.dumps({**values, "time_step_limit": limit}))
        assert AutoConfig.from_pretrained(folder).time_step_limit == [0.0, math.inf]
        again = AutoModelForCausalLM.from_pretrained(folder)
        assert again.load_report.clean
        assert same_state(again, model)
