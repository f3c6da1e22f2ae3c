"""Caches: what is fed in pieces gives what the whole gives, for rows of any length, and belongs to the caller."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from headway import Cache
from headway.errors import InputError
from headway.nn.cached import SLACK
from small import small_model

DECODERS = ["gpt2", "llama", "mistral", "mixtral", "deepseek_v3"]
IDS = torch.randint(5, 60, (3, 12), generator=torch.Generator().manual_seed(5))


def model_of(model_type: str) -> Any:
    options = {"sliding_window": 4} if model_type in ("mistral", "mixtral") else {}
    return small_model(model_type, "causal-lm", **options)


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model_type", DECODERS)
@pytest.mark.parametrize("pieces", [(12,), (1,) * 12, (5, 1, 1, 5), (11, 1), (2, 3, 7)])
@pytest.mark.parametrize("gradients", [False, True])
def test_pieces_give_what_the_whole_gives(model_type: str, pieces: tuple[int, ...], gradients: bool) -> None:
    model = model_of(model_type)
    with torch.set_grad_enabled(gradients):
        whole = model(input_ids=IDS, use_cache=False).logits
        cache, at = None, 0
        for piece in pieces:
            output = model(input_ids=IDS[:, at : at + piece], past_key_values=cache, use_cache=True)
            close(output.logits, whole[:, at : at + piece])
            cache, at = output.past_key_values, at + piece
    assert cache.get_seq_length() == 12
    assert len(cache) == 2


@pytest.mark.parametrize("model_type", DECODERS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_rows_of_their_own_lengths(model_type: str, side: str) -> None:
    """A padded prompt, then a token a row at a time: each row as if it were alone."""
    model = model_of(model_type)
    lengths = (3, 8, 5)
    ids, mask = torch.zeros(3, 8, dtype=torch.int64), torch.zeros(3, 8, dtype=torch.int64)
    for row, length in enumerate(lengths):
        place = slice(8 - length, 8) if side == "left" else slice(0, length)
        ids[row, place], mask[row, place] = IDS[row, :length], 1
    with torch.no_grad():
        output = model(input_ids=ids, attention_mask=mask, use_cache=True)
        cache = output.past_key_values
        assert cache.lengths == lengths
        for step in range(3):
            column = torch.stack([IDS[row, length + step] for row, length in enumerate(lengths)])[:, None]
            logits = model(input_ids=column, past_key_values=cache).logits
            for row, length in enumerate(lengths):
                alone = model(input_ids=IDS[row : row + 1, : length + step + 1], use_cache=False).logits
                close(logits[row], alone[0, -1:])
    assert cache.lengths == (6, 11, 8)
    assert cache.get_seq_length() == 11


def test_an_encoder_decoder_keeps_its_memory() -> None:
    for model_type in ("t5", "bart"):
        model = small_model(model_type, "seq2seq-lm")
        with torch.no_grad():
            whole = model(input_ids=IDS, decoder_input_ids=IDS[:, :6], use_cache=False).logits
            encoder = model(input_ids=IDS, decoder_input_ids=IDS[:, :1], use_cache=True)
            cache = encoder.past_key_values
            close(encoder.logits, whole[:, :1])
            for at in range(1, 6):
                output = model(
                    encoder_outputs=(encoder.encoder_last_hidden_state,),
                    decoder_input_ids=IDS[:, at : at + 1],
                    past_key_values=cache,
                )
                close(output.logits, whole[:, at : at + 1])


def test_what_a_cache_shows() -> None:
    model = model_of("llama")
    cache = Cache()
    output = model(input_ids=IDS[:, :5], past_key_values=cache)
    assert output.past_key_values is cache
    assert len(cache) == 2
    keys, values = cache[0]
    assert keys.shape == values.shape == (3, 2, 5, 4)
    with torch.no_grad():
        model(input_ids=IDS[:, 5:6], past_key_values=cache)
    assert cache[1][0].shape == (3, 2, 6, 4)
    assert torch.equal(cache[0][0][:, :, :5], keys)


def test_a_cache_is_the_callers() -> None:
    model = model_of("gpt2")
    with torch.no_grad():
        one = model(input_ids=IDS[:, :4]).past_key_values
        two = model(input_ids=IDS[:, 4:8]).past_key_values
        assert one is not two
        assert not [name for name, value in vars(model).items() if isinstance(value, Cache)]
        expected = model(input_ids=IDS[:, :5], use_cache=False).logits[:, -1]
        close(model(input_ids=IDS[:, 4:5], past_key_values=one).logits[:, -1], expected)


def test_a_copy_goes_its_own_way() -> None:
    model = model_of("llama")
    with torch.no_grad():
        cache = model(input_ids=IDS[:, :4]).past_key_values
        model(input_ids=IDS[:, 4:5], past_key_values=cache)
        branch = copy.deepcopy(cache)
        model(input_ids=IDS[:, 8:9], past_key_values=branch)
        logits = model(input_ids=IDS[:, 5:6], past_key_values=cache).logits
        close(logits, model(input_ids=IDS[:, :6], use_cache=False).logits[:, -1:])
        assert branch.get_seq_length() == 6


def test_use_cache_of_the_config_and_of_the_call() -> None:
    model = model_of("gpt2")
    assert model(input_ids=IDS).past_key_values is not None
    assert model(input_ids=IDS, use_cache=False).past_key_values is None
    model.config.use_cache = False
    assert model(input_ids=IDS).past_key_values is None
    assert model(input_ids=IDS, use_cache=True).past_key_values is not None
    assert small_model("bert")(input_ids=IDS, use_cache=True).past_key_values is None


# --- what a caller does between passes ----------------------------------------------------------------------------

LENGTHS = (3, 8, 5)


def prompt(lengths: tuple[int, ...] = LENGTHS) -> dict[str, torch.Tensor]:
    """The first tokens of each row, padded on the left."""
    longest = max(lengths)
    ids, mask = torch.zeros(3, longest, dtype=torch.int64), torch.zeros(3, longest, dtype=torch.int64)
    for row, length in enumerate(lengths):
        ids[row, longest - length :], mask[row, longest - length :] = IDS[row, :length], 1
    return {"input_ids": ids, "attention_mask": mask}


def compare_next(model: Any, cache: Cache, rows: list[int], lengths: list[int], steps: int = 2) -> None:
    """From ``cache`` on, each row goes on as if it stood alone."""
    for step in range(steps):
        column = torch.stack([IDS[row, length + step] for row, length in zip(rows, lengths, strict=True)])[:, None]
        logits = model(input_ids=column, past_key_values=cache).logits
        for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            alone = model(input_ids=IDS[row : row + 1, : length + step + 1], use_cache=False).logits
            close(logits[number], alone[0, -1:])


@pytest.mark.parametrize("model_type", DECODERS)
@torch.no_grad()
def test_select_takes_rows_in_any_order(model_type: str) -> None:
    model = model_of(model_type)
    for rows in ([2, 0], [1, 1, 2, 0], [0], [0, 2]):
        cache = model(**prompt(), use_cache=True).past_key_values
        cache.select(torch.tensor(rows))
        assert cache.get_seq_length() == max(LENGTHS[row] for row in rows)
        assert cache[0][0].shape[2] <= cache.get_seq_length()
        compare_next(model, cache, rows, [LENGTHS[row] for row in rows])


@pytest.mark.parametrize("model_type", DECODERS)
@pytest.mark.parametrize("counts", [(1, 1, 1), (0, 4, 1), (2, 0, 0), (0, 0, 0)])
@torch.no_grad()
def test_tokens_can_be_taken_back(model_type: str, counts: tuple[int, ...]) -> None:
    model = model_of(model_type)
    cache = model(**prompt(), use_cache=True).past_key_values
    cache.take_back(counts)
    left = [length - count for length, count in zip(LENGTHS, counts, strict=True)]
    assert cache.get_seq_length() == max(left)
    compare_next(model, cache, [0, 1, 2], left)


@pytest.mark.parametrize("model_type", DECODERS)
@torch.no_grad()
def test_crop_and_go_on(model_type: str) -> None:
    model = model_of(model_type)
    for length in (5, -3):
        cache = model(input_ids=IDS[:, :8], use_cache=True).past_key_values
        cache.crop(length)
        assert cache.lengths == 5
        compare_next(model, cache, [0, 1, 2], [5, 5, 5])


@torch.no_grad()
def test_what_cannot_be_taken_back() -> None:
    model = model_of("mistral")
    cache = model(**prompt(), use_cache=True).past_key_values
    with pytest.raises(InputError, match="Cannot take back 4 tokens"):
        cache.crop(-4)
    long = torch.randint(5, 60, (1, 50))
    cache = model(input_ids=long, use_cache=True).past_key_values
    for _ in range(SLACK + 80):
        cache = model(input_ids=long[:, :1], past_key_values=cache).past_key_values
    with pytest.raises(InputError, match="window of 4 has let go"):
        cache.crop(-(SLACK + 80 + 49))


@torch.no_grad()
def test_a_window_bounds_what_is_kept() -> None:
    model = model_of("mistral")
    cache = Cache()
    ids = torch.randint(5, 60, (1, 400), generator=torch.Generator().manual_seed(6))
    whole = model(input_ids=ids, use_cache=False).logits
    sizes = []
    for at in range(400):
        close(model(input_ids=ids[:, at : at + 1], past_key_values=cache).logits, whole[:, at : at + 1])
        sizes.append(cache.nbytes)
    assert cache.lengths == 400
    assert max(sizes) == max(sizes[:150])


@torch.no_grad()
def test_a_capacity_is_taken_at_once() -> None:
    model = model_of("llama")
    cache = Cache(capacity=40)
    model(**prompt(), past_key_values=cache)
    size, keys = cache.nbytes, cache[0][0].data_ptr()
    compare_next(model, cache, [0, 1, 2], list(LENGTHS), steps=4)
    assert (cache.nbytes, cache[0][0].data_ptr()) == (size, keys)
