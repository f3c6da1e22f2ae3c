"""Caches: what is fed in pieces gives what the whole gives, for rows of any length, and belongs to the caller."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from headway import Cache, QuantizedCache
from headway.errors import InputError
from headway.nn.cached import SLACK
from small import one_sentence, small_model

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


@torch.no_grad()
def test_what_cannot_be_taken_back_stays_whole() -> None:
    """Layers with and without a window: where one refuses, the others have lost nothing."""
    model = small_model("gemma2", "causal-lm", sliding_window=4, max_position_embeddings=400)
    ids = torch.randint(5, 60, (1, 300), generator=torch.Generator().manual_seed(6))
    cache = Cache()
    for piece in ids.split(1, 1):
        model(input_ids=piece, past_key_values=cache)
    with pytest.raises(InputError, match="has let go"):
        cache.crop(100)
    again = copy.deepcopy(cache)
    close(model(ids[:, :1], past_key_values=again).logits, model(ids[:, :1], past_key_values=cache).logits)
    assert cache.lengths == 301
    whole = model(torch.cat((ids, ids[:, :2]), 1), use_cache=False).logits
    close(model(ids[:, 1:2], past_key_values=cache).logits, whole[:, -1:])


@torch.no_grad()
def test_a_copy_of_what_a_gradient_goes_through() -> None:
    model = model_of("llama")
    with torch.enable_grad():
        cache = model(input_ids=IDS[:, :4]).past_key_values
        branch = copy.deepcopy(cache)
    for one in (cache, branch):
        compare_next(model, one, [0, 1, 2], [4, 4, 4])


@pytest.mark.parametrize("model_type", DECODERS)
@torch.no_grad()
def test_a_cache_serves_several_calls(model_type: str) -> None:
    """One beginning: copied for some calls, cropped after others, emptied and filled again."""
    model = model_of(model_type)
    cache = model(**prompt(), use_cache=True).past_key_values
    for _ in range(2):
        compare_next(model, copy.deepcopy(cache), [0, 1, 2], list(LENGTHS))
        compare_next(model, cache, [0, 1, 2], list(LENGTHS), steps=3)
        cache.crop(-3)
        assert cache.lengths == LENGTHS
    cache.take_back(LENGTHS)
    assert cache.lengths == 0
    compare_next(model, cache, [0, 1, 2], [0, 0, 0])


# --- joining ------------------------------------------------------------------------------------------------------


def filled(model: Any, rows: list[int], lengths: list[int], kind: type[Cache] = Cache) -> Cache:
    """A cache of rows of their own lengths."""
    longest = max(lengths)
    ids, mask = torch.zeros(len(rows), longest, dtype=torch.int64), torch.zeros(len(rows), longest, dtype=torch.int64)
    for at, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        ids[at, longest - length :], mask[at, longest - length :] = IDS[row, :length], 1
    return model(input_ids=ids, attention_mask=mask, past_key_values=kind()).past_key_values


@pytest.mark.parametrize("model_type", DECODERS)
@pytest.mark.parametrize(("one", "other"), [((3, 8), (5,)), ((4,), (9, 2)), ((4, 4), (4,)), ((1,), (9,))])
@torch.no_grad()
def test_caches_can_be_joined(model_type: str, one: tuple[int, ...], other: tuple[int, ...]) -> None:
    model = model_of(model_type)
    rows = [0, 1, 2][: len(one)], [2, 1, 0][: len(other)]
    mine, its = filled(model, rows[0], list(one)), filled(model, rows[1], list(other))
    mine.join(its)
    every = [*one, *other]
    assert mine.get_seq_length() == max(every)
    compare_next(model, mine, rows[0] + rows[1], every)
    compare_next(model, its, rows[1], list(other))
    empty = Cache()
    empty.join(mine)
    empty.join(its)
    chosen = torch.tensor([len(every), 0])
    empty.select(chosen)
    compare_next(model, empty, [rows[1][0], rows[0][0]], [other[0] + 2, one[0] + 2], steps=1)


@torch.no_grad()
def test_rows_that_a_window_has_left_behind_are_joined() -> None:
    """A long row has let go of tokens, a short one has all: then what both still have counts."""
    model = model_of("mistral")
    ids = torch.randint(5, 60, (2, 400), generator=torch.Generator().manual_seed(6))
    for length in (3, 30, 90, 150):
        long, short = Cache(), model(ids[1:, :length], use_cache=True).past_key_values
        for piece in ids[:1, :200].split(1, 1):
            model(input_ids=piece, past_key_values=long)
        for one, other, rows in ((long, short, (0, 1)), (short, long, (1, 0))):
            joined = copy.deepcopy(one)
            joined.join(other)
            counts = {0: 200, 1: length}
            assert joined.lengths == tuple(counts[row] for row in rows)
            for back in (0, 2, 40, 140):
                cache = copy.deepcopy(joined)
                left = {row: count - min(back, count) for row, count in counts.items()}
                try:
                    cache.take_back([counts[row] - left[row] for row in rows])
                except InputError:
                    assert back > SLACK
                    continue
                for step in range(3):
                    column = torch.stack([ids[row, left[row] + step] for row in rows])[:, None]
                    logits = model(input_ids=column, past_key_values=cache).logits
                    for at, row in enumerate(rows):
                        whole = model(ids[row : row + 1, : left[row] + step + 1], use_cache=False).logits
                        close(logits[at], whole[0, -1:])


@torch.no_grad()
def test_caches_that_do_not_go_together() -> None:
    llama, deep = model_of("llama"), small_model("llama", "causal-lm", num_hidden_layers=3)
    one = filled(llama, [0], [3])
    for other in (filled(deep, [0], [3]), filled(llama, [0], [3], QuantizedCache)):
        with pytest.raises(InputError, match="join caches of one kind") as error:
            one.join(other)
        one_sentence(error.value)


# --- eight-bit numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model_type", DECODERS)
@torch.no_grad()
def test_eight_bit_numbers_are_near(model_type: str) -> None:
    model = model_of(model_type)
    plain, small = Cache(), QuantizedCache()
    for piece in IDS.split((4, 1, 1, 3, 1, 1, 1), 1):
        expected = model(input_ids=piece, past_key_values=plain).logits
        found = model(input_ids=piece, past_key_values=small).logits
        assert float((found - expected).abs().max()) < 0.05 * float(expected.std())
    for layer in range(len(plain)):
        for exact, rounded in zip(plain[layer], small[layer], strict=True):
            # Layers above see what was rounded below, which adds to the first layer's half a step.
            most = exact.abs().amax(-1, keepdim=True) * (0.501 / 127 if layer == 0 else 0.05)
            assert bool(((exact - rounded).abs() <= most).all())
            assert rounded.dtype == exact.dtype


@torch.no_grad()
def test_eight_bit_numbers_take_a_quarter_of_the_memory() -> None:
    model = small_model("llama", "causal-lm", head_dim=64, max_position_embeddings=600)
    ids = torch.randint(5, 60, (2, 500), generator=torch.Generator().manual_seed(6))
    plain, small = Cache(), QuantizedCache()
    for cache in (plain, small):
        model(input_ids=ids, past_key_values=cache)
        model(input_ids=ids[:, :3], past_key_values=cache)
    assert plain.nbytes >= 2 * 2 * 2 * 2 * 503 * 64 * 4
    assert small.nbytes <= 0.3 * plain.nbytes


@pytest.mark.parametrize("model_type", DECODERS)
@torch.no_grad()
def test_eight_bit_rows_are_exchanged_as_others_are(model_type: str) -> None:
    """Whatever is done to a cache: what is left is what a plain one has left, but for the rounding."""
    model = model_of(model_type)
    caches = []
    for kind in (Cache, QuantizedCache):
        cache = filled(model, [0, 1, 2], list(LENGTHS), kind)
        cache.select(torch.tensor([2, 0, 1]))
        cache.take_back((0, 1, 4))
        cache.join(filled(model, [1, 0], [7, 2], kind))
        cache.crop(-1)
        branch = copy.deepcopy(cache)
        mask = torch.tensor([[0, 1], [1, 1], [0, 1], [1, 1], [1, 1]])
        model(input_ids=IDS[[0, 1, 2, 0, 1], :2], attention_mask=mask, past_key_values=branch)
        caches.append((cache, branch))
    for plain, small in zip(*caches, strict=True):
        assert plain.lengths == small.lengths
        for layer in range(len(plain)):
            for exact, rounded in zip(plain[layer], small[layer], strict=True):
                assert exact.shape == rounded.shape
                assert float((exact - rounded).abs().max()) < 0.05 * float(exact.abs().max())


@torch.no_grad()
def test_zeros_stay_zeros() -> None:
    cache = QuantizedCache()
    keys = torch.zeros(1, 1, 2, 4)
    cache.update(0, keys, keys)
    assert torch.equal(cache[0][0], keys)


def test_what_an_encoder_gave_is_kept_as_it_is() -> None:
    model = small_model("t5", "seq2seq-lm")
    with torch.no_grad():
        caches = [
            model(input_ids=IDS, decoder_input_ids=IDS[:, :2], past_key_values=kind()).past_key_values
            for kind in (Cache, QuantizedCache)
        ]
    for step, (keys, values, _) in caches[0].cross.items():
        assert torch.equal(caches[1].cross[step][0], keys)
        assert torch.equal(caches[1].cross[step][1], values)
