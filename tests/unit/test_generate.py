"""``generate``: what does not change what is written, searches against their definition, and its errors."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
from torch import Tensor
from torch.nn import functional as F

import headway
from headway import Cache, GenerationConfig, InputError, QuantizedCache, TextIteratorStreamer, TextStreamer
from headway.generation.streamers import AsyncTextIteratorStreamer
from headway.generation.warpers import TopNSigmaLogitsWarper
from small import WRITERS, small_model, writer

writers = pytest.mark.parametrize(("model_type", "task"), WRITERS)
LENGTHS = (3, 8, 5)
IDS = torch.randint(5, 60, (3, 12), generator=torch.Generator().manual_seed(5))


def padded(side: str, lengths: tuple[int, ...] = LENGTHS) -> dict[str, Tensor]:
    longest = max(lengths)
    ids, mask = torch.ones(3, longest, dtype=torch.int64), torch.zeros(3, longest, dtype=torch.int64)
    for row, length in enumerate(lengths):
        place = slice(longest - length, longest) if side == "left" else slice(0, length)
        ids[row, place], mask[row, place] = IDS[row, :length], 1
    return {"input_ids": ids, "attention_mask": mask}


def written(model: Any, ids: Tensor, prompt: int) -> list[list[int]]:
    """What stands behind the prompts, without the padding behind the end."""
    start = 1 if model.task == "seq2seq-lm" else prompt
    rows = [row[start:].tolist() for row in ids]
    for row in rows:
        while row and row[-1] == 1:
            row.pop()
    return rows


STRATEGIES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "ends": {"eos_token_id": [2, *range(5, 60, 5)]},
    "beams": {"num_beams": 3, "eos_token_id": [2, *range(5, 60, 9)]},
    "penalised": {"repetition_penalty": 1.5, "no_repeat_ngram_size": 2},
    "contrastive": {"penalty_alpha": 0.6, "top_k": 4},
    "lookup": {"prompt_lookup_num_tokens": 4},
}


@writers
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_neither_padding_nor_the_batch_nor_the_cache_changes_what_is_written(
    model_type: str, task: str, strategy: str
) -> None:
    model, asked = writer(model_type, task), {"max_new_tokens": 9, **STRATEGIES[strategy]}
    alone = []
    for row, length in enumerate(LENGTHS):
        alone += written(model, model.generate(IDS[row : row + 1, :length], **asked), length)
    for side in ("left", "right"):
        assert written(model, model.generate(**padded(side), **asked), 8) == alone
    assert written(model, model.generate(**padded("left"), **asked, use_cache=False), 8) == alone
    assert written(model, model.generate(**padded("left"), **asked, cache_implementation="static"), 8) == alone


@writers
def test_guesses_change_nothing(model_type: str, task: str) -> None:
    model = writer(model_type, task)
    for asked in ({}, {"eos_token_id": [2, *range(5, 60, 6)]}, {"repetition_penalty": 1.4}, {"min_new_tokens": 4}):
        greedy = model.generate(**padded("left"), max_new_tokens=14, **asked)
        draft = writer(model_type, task, seed=3)
        for helper in (model, draft):
            found = model.generate(**padded("left"), max_new_tokens=14, assistant_model=helper, **asked)
            assert torch.equal(found, greedy)
        found = model.generate(**padded("left"), max_new_tokens=14, prompt_lookup_num_tokens=3, **asked)
        assert torch.equal(found, greedy)


def test_guesses_save_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A draft that is the model itself is right five times in a row, and a text that repeats itself is guessed."""
    model, draft = writer("gpt2"), writer("gpt2")
    passes = []
    plain = type(model).next_scores
    monkeypatch.setattr(
        type(model), "next_scores", lambda self, *a, **k: (passes.append(self), plain(self, *a, **k))[1]
    )

    def counted(ids: Tensor, **asked: Any) -> int:
        passes.clear()
        model.generate(ids, eos_token_id=None, **asked)
        return sum(one is model for one in passes)

    assert counted(IDS[:1], max_new_tokens=16) == 16
    assert counted(IDS[:1], max_new_tokens=16, assistant_model=draft) == 4
    text = model.generate(IDS[:1], max_new_tokens=40, eos_token_id=None)
    assert counted(text, max_new_tokens=12, prompt_lookup_num_tokens=4) < 12


@torch.no_grad()
def test_a_wide_beam_is_brute_force() -> None:
    """With as many beams as there are texts of one token less, the best text of all is found."""
    model = writer("gpt2", vocab_size=6)
    prompt, length = torch.tensor([[4, 5, 3]]), 4
    best, found = -1e9, None
    for text in itertools.product(range(6), repeat=length):
        if 2 in text[:-1]:
            continue
        ids = torch.cat((prompt, torch.tensor([text])), 1)
        logs = model(ids, use_cache=False).logits[0, 2:-1].log_softmax(-1)
        score = float(logs.gather(1, torch.tensor(text)[:, None]).sum()) / length
        if score > best:
            best, found = score, text
    output = model.generate(
        prompt,
        num_beams=6**3,
        max_new_tokens=length,
        min_new_tokens=length - 1,
        early_stopping="never",
        return_dict_in_generate=True,
    )
    assert tuple(output.sequences[0, 3:].tolist()) == found
    assert float(output.sequences_scores[0]) == pytest.approx(best, abs=1e-5)


def diverse(model: Any, prompt: torch.Tensor, beams: int, groups: int, penalty: float, new: int) -> list[Any]:
    """Diverse beam search step by step, without ends: texts and their scores, the best first."""
    size = beams // groups
    kept: list[list[tuple[float, list[int]]]] = [[(0.0, [])] for _ in range(groups)]
    for _ in range(new):
        told = torch.zeros(model.config.vocab_size)
        for group in range(groups):
            found = []
            for total, text in kept[group]:
                ids = torch.cat((prompt, torch.tensor(text, dtype=torch.int64)))[None]
                logs = model(ids, use_cache=False).logits[0, -1].log_softmax(-1) - penalty * told
                found += [(total + float(log), [*text, token]) for token, log in enumerate(logs)]
            kept[group] = sorted(found, reverse=True)[:size]
            for _, text in kept[group]:
                told[text[-1]] += 1
    return sorted(((total / new, text) for group in kept for total, text in group), reverse=True)


@torch.no_grad()
@pytest.mark.parametrize(("beams", "groups", "penalty"), [(4, 2, 0.7), (6, 3, 5.0), (3, 3, 50.0)])
def test_groups_of_beams_write_as_their_definition_says(beams: int, groups: int, penalty: float) -> None:
    model = writer("gpt2", vocab_size=20)
    prompts = IDS[:2] % 20
    output = model.generate(
        prompts,
        num_beams=beams,
        num_beam_groups=groups,
        diversity_penalty=penalty,
        num_return_sequences=beams,
        max_new_tokens=5,
        eos_token_id=None,
        return_dict_in_generate=True,
    )
    expected = [pair for prompt in prompts for pair in diverse(model, prompt, beams, groups, penalty, 5)]
    assert output.sequences[:, prompts.shape[1] :].tolist() == [text for _, text in expected]
    torch.testing.assert_close(output.sequences_scores, torch.tensor([score for score, _ in expected]))


@torch.no_grad()
def test_groups_of_beams_that_end_do_not_depend_on_other_prompts() -> None:
    model = writer("gpt2")
    asked = {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 50.0, "num_return_sequences": 4}
    asked |= {"eos_token_id": [2, *range(5, 60, 4)], "pad_token_id": 0, "max_new_tokens": 12}
    together = model.generate(IDS, **asked)
    for row, ids in enumerate(IDS):
        alone = model.generate(ids[None], **asked)
        assert torch.equal(together[4 * row : 4 * row + 4, : alone.shape[1]], alone)
        without = model.generate(ids[None], **asked | {"num_beam_groups": 1, "diversity_penalty": None})
        assert not torch.equal(alone, without)


@torch.no_grad()
def test_contrastive_search_is_its_definition() -> None:
    model, ids, alpha, count = writer("llama"), IDS[:1, :6], 0.5, 5
    for _ in range(6):
        likely, candidates = model(ids, use_cache=False).logits[0, -1].softmax(-1).topk(count)
        scores = []
        for probability, token in zip(likely, candidates, strict=True):
            states = model(torch.cat((ids, token.view(1, 1)), 1), output_hidden_states=True).hidden_states[-1][0]
            likeness = F.cosine_similarity(states[-1:], states[:-1]).max()
            scores.append((1 - alpha) * probability - alpha * likeness)
        ids = torch.cat((ids, candidates[torch.stack(scores).argmax()].view(1, 1)), 1)
    found = model.generate(IDS[:1, :6], penalty_alpha=alpha, top_k=count, max_new_tokens=6, eos_token_id=None)
    assert found.tolist() == ids.tolist()


# --- conversations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model_type", ["gpt2", "llama", "mistral"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_cache_goes_on_without_reading_again(model_type: str, side: str) -> None:
    model, cache = writer(model_type), Cache()
    first = padded(side)
    asked = {"max_new_tokens": 5, "eos_token_id": None, "return_dict_in_generate": True}
    output = model.generate(**first, past_key_values=cache, **asked)
    assert output.past_key_values is cache
    more = IDS[:, 9:12]
    ids = torch.cat((output.sequences, more), 1)
    mask = torch.cat((first["attention_mask"], torch.ones(3, 8, dtype=torch.int64)), 1)
    fed = []
    plain = type(model).next_scores
    type(model).next_scores = lambda self, ids, *a, **k: (fed.append(ids.shape[1]), plain(self, ids, *a, **k))[1]
    try:
        second = model.generate(ids, attention_mask=mask, past_key_values=cache, **asked).sequences
    finally:
        type(model).next_scores = plain
    assert fed == [4, 1, 1, 1, 1]
    assert torch.equal(second, model.generate(ids, attention_mask=mask, **asked).sequences)


@pytest.mark.parametrize("model_type", ["gpt2", "llama", "mistral"])
@pytest.mark.parametrize("asked", [{}, {"repetition_penalty": 1.2}, {"prompt_lookup_num_tokens": 3}])
def test_rows_that_end_early_stay_in_the_callers_cache(model_type: str, asked: dict[str, Any]) -> None:
    """All rows are there after it, each with its text and not the padding behind it."""
    model, cache = writer(model_type), Cache()
    asked = {"max_new_tokens": 9, "eos_token_id": [2, 5, 9, 25], **asked}
    ids = model.generate(IDS[:, :5], past_key_values=cache, **asked)
    mask = torch.ones_like(ids)
    texts = written(model, ids, 5)
    for row, text in enumerate(texts):
        mask[row, 5 + len(text) :] = 0
    assert len({len(text) for text in texts}) > 1
    assert all(4 + len(text) <= held <= 5 + len(text) for text, held in zip(texts, cache.lengths, strict=True))
    ids, mask = torch.cat((ids, IDS[:, 9:]), 1), torch.cat((mask, torch.ones(3, 3, dtype=torch.int64)), 1)
    found = model.generate(ids, attention_mask=mask, past_key_values=cache, **asked)
    assert torch.equal(found, model.generate(ids, attention_mask=mask, **asked))


def test_a_prefix_serves_many_prompts() -> None:
    model = writer("llama")
    prefix = IDS[:1, :6]
    cache = model(prefix, use_cache=True).past_key_values
    ids = torch.cat((prefix.expand(3, -1), IDS[:, 6:9]), 1)
    found = model.generate(ids, past_key_values=cache, max_new_tokens=6)
    assert torch.equal(found, model.generate(ids, max_new_tokens=6))
    cache.select(torch.tensor([0]))
    cache.crop(6)
    assert torch.equal(found, model.generate(ids, past_key_values=copy.deepcopy(cache), max_new_tokens=6))
    assert torch.equal(found, model.generate(ids, past_key_values=cache, max_new_tokens=6))


@writers
def test_eight_bit_caches_write_too(model_type: str, task: str) -> None:
    """The first pass is exact; from then on the text is what the cache's numbers give."""
    model = writer(model_type, task)
    asked = {"cache_implementation": "quantized", "eos_token_id": None, "return_dict_in_generate": True}
    output = model.generate(**padded("left"), max_new_tokens=6, **asked)
    assert type(output.past_key_values) is QuantizedCache
    cache = QuantizedCache()
    again = model.generate(**padded("left"), max_new_tokens=6, past_key_values=cache, eos_token_id=None)
    assert torch.equal(again, output.sequences)
    plain = model.generate(**padded("left"), max_new_tokens=6, eos_token_id=None)
    assert torch.equal(plain[:, :-5], again[:, :-5])
    for search in ({"num_beams": 2}, {"penalty_alpha": 0.6, "top_k": 4}):
        found = model.generate(**padded("left"), max_new_tokens=6, **{**asked, **search})
        assert found.sequences.shape[0] == 3


def test_a_static_cache_has_room_for_all() -> None:
    model = writer("llama")
    asked = {"eos_token_id": None, "cache_implementation": "static", "return_dict_in_generate": True}
    cache = model.generate(IDS, max_new_tokens=20, **asked).past_key_values
    assert cache.nbytes == 2 * 2 * 3 * 2 * 32 * 4 * 4


def test_prompts_as_vectors_and_no_prompt() -> None:
    model = writer("gpt2")
    vectors = model.get_input_embeddings()(IDS)
    found = model.generate(inputs_embeds=vectors, max_new_tokens=5)
    assert torch.equal(found, model.generate(IDS, max_new_tokens=5)[:, 12:])
    assert model.generate(max_new_tokens=5)[0, 0] == 3


# --- what callers add ---------------------------------------------------------------------------------------------


def test_processors_and_criteria_of_the_callers() -> None:
    model = writer("gpt2")

    def only_even(ids: Tensor, scores: Tensor) -> Tensor:
        assert int(ids.min()) >= 0
        scores = scores.clone()
        scores[:, 1::2] = float("-inf")
        return scores

    found = model.generate(**padded("left"), max_new_tokens=6, logits_processor=[only_even], eos_token_id=None)
    assert not (found[:, 8:] % 2).any()
    criteria = [lambda ids, scores, **kwargs: torch.tensor([ids.shape[1] >= 10] * 3)]
    assert model.generate(**padded("left"), stopping_criteria=criteria, eos_token_id=None).shape[1] == 10
    allowed = {0: [7, 8], 1: [9], 2: [10, 11]}
    for search in ({}, {"num_beams": 2}, {"prompt_lookup_num_tokens": 3}):
        found = model.generate(
            **padded("left"),
            max_new_tokens=4,
            **search,
            prefix_allowed_tokens_fn=lambda row, ids: allowed[row],
            eos_token_id=None,
        )
        for row, tokens in allowed.items():
            assert {*found[row, 8:].tolist()} <= {*tokens}


def test_frequency_and_presence() -> None:
    model = writer("gpt2")
    found = model.generate(IDS[:, :4], max_new_tokens=12, presence_penalty=1e4, eos_token_id=None)[:, 4:]
    assert all(len({*row.tolist()}) == 12 for row in found)
    greedy, text = IDS[:1, :4], IDS[:1, :4]
    with torch.no_grad():
        for _ in range(8):
            logits = model(text, use_cache=False).logits[0, -1]
            counts = torch.bincount(text[0, 4:], minlength=logits.shape[0])
            text = torch.cat((text, (logits - 0.7 * counts - 0.4 * (counts > 0)).argmax().view(1, 1)), 1)
    asked = {"frequency_penalty": 0.7, "presence_penalty": 0.4, "max_new_tokens": 8, "eos_token_id": None}
    assert torch.equal(model.generate(greedy, **asked), text)


def test_top_n_sigma() -> None:
    scores = torch.tensor([[1.0, 2.0, 3.0, 10.0, float("-inf")]])
    deviation = scores[0, :4].std(correction=0)
    for n in (0.5, 2.0, 3.0):
        kept = TopNSigmaLogitsWarper(n)(IDS[:1], scores)[0].isfinite()
        assert kept.tolist() == (scores[0] >= 10 - n * deviation).tolist()


def test_a_seed_gives_the_same_again() -> None:
    model = writer("gpt2")
    asked = {"do_sample": True, "max_new_tokens": 10, "num_return_sequences": 2}
    one, two = (model.generate(IDS, **asked, generator=torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one, two)
    assert one.shape == (6, 22)
    assert not torch.equal(one, model.generate(IDS, **asked, generator=torch.Generator().manual_seed(5)))


def test_max_time_stops() -> None:
    model = writer("gpt2")
    assert model.generate(IDS, max_new_tokens=50, max_time=1e-9, eos_token_id=None).shape[1] == 13


def test_the_mode_of_the_model_is_left_as_it_was() -> None:
    model = writer("gpt2").train()
    model.generate(IDS, max_new_tokens=2)
    assert model.training


# --- streaming ----------------------------------------------------------------------------------------------------


TEXTS = [
    "Once upon a time there was",
    "Ein Märchen: 昔々あるところに",
    "Жили-были дед да баба 🙂👩‍👩‍👧",
    "كان يا ما كان ｱｲｳ",
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Byte-level pairs, so that one character may be several tokens."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "<pad>", "</s>"]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=alphabet, special_tokens=special, show_progress=False
    )
    made.train_from_iterator(TEXTS, trainer)
    folder = tmp_path_factory.mktemp("tokenizer")
    made.save(str(folder / "tokenizer.json"))
    settings = {"pad_token": "<pad>", "eos_token": "</s>", "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return headway.AutoTokenizer.from_pretrained(folder)


def streamed(rows: int) -> tuple[list[list[str]], Callable[[str, int, bool], None]]:
    """Pieces by row, and what gathers them."""
    pieces: list[list[str]] = [[] for _ in range(rows)]

    def gather(text: str, row: int, stream_end: bool) -> None:
        pieces[row].append(text)

    return pieces, gather


def test_streamed_pieces_are_the_text(tokenizer: Any) -> None:
    """In every script: what comes in tokens goes out in whole characters."""
    for text in TEXTS:
        pieces, gather = streamed(1)
        streamer = TextStreamer(tokenizer, on_text=gather)
        ids = tokenizer(text)["input_ids"]
        streamer.put(torch.tensor([ids[:1]]))
        for token in ids[1:]:
            streamer.put(torch.tensor([token]))
        streamer.end()
        assert "".join(pieces[0]) == text == tokenizer.decode(ids)
        assert "\ufffd" not in "".join(pieces[0])
        assert len(pieces[0]) > 8


def test_streamed_words_of_wordpiece_are_the_text(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "do", "n", "'", "t", ",", "##go", "wait", "."])
    )
    tokenizer = headway.AutoTokenizer.from_pretrained(tmp_path, tokenizer_class="BertTokenizer")
    ids = tokenizer("do n't, dogo wait.", add_special_tokens=False)["input_ids"]
    pieces, gather = streamed(1)
    streamer = TextStreamer(tokenizer, on_text=gather)
    streamer.put(torch.tensor([ids[:1]]))
    for token in ids[1:]:
        streamer.put(torch.tensor([token]))
    streamer.end()
    assert "".join(pieces[0]) == tokenizer.decode(ids)
    assert len(pieces[0]) > 2


def test_batches_stream_too(tokenizer: Any) -> None:
    model = writer("gpt2", vocab_size=len(tokenizer))
    tokenizer.padding_side = "left"
    batch = tokenizer(TEXTS, return_tensors="pt", padding=True)
    pieces, gather = streamed(4)
    ends = [2, *range(30, 300, 5)]
    ids = model.generate(
        **batch,
        max_new_tokens=20,
        eos_token_id=ends,
        streamer=TextStreamer(tokenizer, skip_prompt=True, on_text=gather),
    )
    rows = written(model, ids, batch["input_ids"].shape[1])
    assert len({len(row) for row in rows}) > 1
    assert ["".join(row) for row in pieces] == [tokenizer.decode(row) for row in rows]


def test_text_to_iterate_over(tokenizer: Any) -> None:
    model = writer("gpt2", vocab_size=len(tokenizer))
    ids = tokenizer("Once upon", return_tensors="pt")["input_ids"]
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, timeout=60)
    thread = threading.Thread(target=lambda: model.generate(ids, max_new_tokens=20, streamer=streamer))
    thread.start()
    text = "".join(streamer)
    thread.join()
    assert text == tokenizer.decode(model.generate(ids, max_new_tokens=20)[0, ids.shape[1] :])


def test_text_in_an_event_loop(tokenizer: Any) -> None:
    model = writer("gpt2", vocab_size=len(tokenizer))
    ids = tokenizer("Once upon", return_tensors="pt")["input_ids"]

    async def run() -> str:
        streamer = AsyncTextIteratorStreamer(tokenizer, skip_prompt=True)
        thread = threading.Thread(target=lambda: model.generate(ids, max_new_tokens=20, streamer=streamer))
        thread.start()
        text = "".join([piece async for piece in streamer])
        thread.join()
        return text

    assert asyncio.run(run()) == tokenizer.decode(model.generate(ids, max_new_tokens=20)[0, ids.shape[1] :])


def test_stop_strings(tokenizer: Any) -> None:
    model = writer("gpt2", vocab_size=len(tokenizer))
    ids = tokenizer("Once upon", return_tensors="pt")["input_ids"]
    text = tokenizer.decode(model.generate(ids, max_new_tokens=30, eos_token_id=None)[0, ids.shape[1] :])
    stop = text[8:12]
    asked = {"max_new_tokens": 30, "eos_token_id": None, "tokenizer": tokenizer}
    found = model.generate(ids, stop_strings=[stop, "never there"], **asked)
    short = tokenizer.decode(found[0, ids.shape[1] :])
    assert stop in short
    assert text.startswith(short)
    assert len(short) < len(text)
    with pytest.raises(InputError, match="pass the tokenizer too"):
        model.generate(ids, stop_strings="x")


def test_a_correct_program_prints_nothing(tokenizer: Any, capfd: pytest.CaptureFixture[str]) -> None:
    model = writer("gpt2", vocab_size=len(tokenizer))
    model.generation_config = GenerationConfig(eos_token_id=2)
    model.generate(**tokenizer("Once upon", return_tensors="pt"), max_new_tokens=3)
    assert capfd.readouterr() == ("", "")


def test_printed_text(tokenizer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    model = writer("gpt2", vocab_size=len(tokenizer))
    ids = tokenizer("Once upon", return_tensors="pt")["input_ids"]
    found = model.generate(ids, max_new_tokens=5, streamer=TextStreamer(tokenizer))
    assert capsys.readouterr().out == tokenizer.decode(found[0]) + "\n"


# --- configs ------------------------------------------------------------------------------------------------------


def test_a_config_comes_and_goes(tmp_path: Path) -> None:
    model = small_model("gpt2", "causal-lm")
    model.generation_config = GenerationConfig(num_beams=2, eos_token_id=[2, 7], extra={"of_others": {"a": 1}})
    model.save_pretrained(tmp_path)
    assert GenerationConfig.from_pretrained(tmp_path) == model.generation_config
    again = headway.AutoModelForCausalLM.from_pretrained(tmp_path).generation_config
    assert (again.num_beams, again.eos_token_id, again.extra) == (2, [2, 7], {"of_others": {"a": 1}})
    assert again.pad_token_id == 1  # the model's config says so
    assert GenerationConfig.from_pretrained(tmp_path, num_beams=3).num_beams == 3
    (tmp_path / "generation_config.json").unlink()
    plain = headway.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert plain.generation_config.num_beams is None


def test_keys_in_the_models_config_hold() -> None:
    model = small_model("bart", "seq2seq-lm", num_beams=4, min_length=3, forced_bos_token_id=7)
    assert (model.generation_config.num_beams, model.generation_config.min_length) == (4, 3)
    assert model.generate(IDS, max_new_tokens=3)[:, 1].tolist() == [7, 7, 7]


def test_one_rule_for_lengths() -> None:
    model = writer("gpt2")
    model.generation_config = GenerationConfig(max_length=9, eos_token_id=None)
    assert model.generate(IDS[:, :4]).shape[1] == 9
    assert model.generate(IDS[:, :4], max_new_tokens=3).shape[1] == 7
    assert model.generate(IDS[:, :4], max_length=6).shape[1] == 6
    assert model.generate(IDS[:, :4], GenerationConfig(max_new_tokens=2)).shape[1] == 6
    model.generation_config = GenerationConfig(max_length=9, max_new_tokens=3, eos_token_id=None)
    assert model.generate(IDS[:, :4]).shape[1] == 7
    assert model.generate(IDS[:, :4], max_length=6).shape[1] == 6


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"max_new_token": 5}, "generate takes no argument 'max_new_token'. Did you mean 'max_new_tokens'?"),
        ({"max_length": 5, "max_new_tokens": 5}, "say the same thing twice"),
        ({"max_length": 12}, "leaves no room after a prompt of 12 tokens"),
        ({"temperature": 0.0, "do_sample": True}, "use do_sample=False"),
        ({"top_p": 1.5}, "give a number from 0 to 1"),
        ({"top_k": -1}, "give an integer of at least 0"),
        ({"num_return_sequences": 2}, "set do_sample=True or num_beams"),
        ({"num_beams": 2, "num_return_sequences": 3}, "raise num_beams"),
        ({"num_beams": 4, "num_beam_groups": 3, "diversity_penalty": 1.0}, "is no multiple of num_beam_groups=3"),
        ({"num_beams": 4, "num_beam_groups": 2}, "by a penalty above 0 alone; set both, or neither"),
        ({"num_beams": 4, "diversity_penalty": 1.0}, "set both, or neither"),
        (
            {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 1.0, "do_sample": True},
            "the likeliest of different texts",
        ),
        ({"early_stopping": "soon"}, "use True, False or 'never'"),
        ({"penalty_alpha": 0.5, "top_k": 4, "do_sample": True}, "neither samples nor keeps beams"),
        ({"cache_implementation": "dynamical"}, "Did you mean 'dynamic'?"),
        ({"prompt_lookup_num_tokens": 3, "do_sample": True}, "checked against greedy text"),
        ({"sequence_bias": 3}, "is no map of ids to bias"),
        ({"prefix_allowed_tokens_fn": lambda row, ids: []}, "allows no token for row 0"),
        ({"attention_mask": torch.ones(3, 4)}, "give one number for each token"),
    ],
)
def test_what_cannot_be_asked(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        writer("gpt2").generate(IDS, **asked)
    assert message in str(error.value)


def test_who_cannot_write() -> None:
    with pytest.raises(InputError, match="AutoModelForCausalLM or AutoModelForSeq2SeqLM"):
        small_model("gpt2").generate(IDS)
    with pytest.raises(InputError, match="the two must share a tokenizer"):
        writer("gpt2").generate(IDS, assistant_model=writer("gpt2", vocab_size=70))
    model = writer("gpt2")
    model.generation_config = GenerationConfig()
    with pytest.raises(InputError, match="generate needs input_ids, or a bos_token_id"):
        model.generate()
    cache = model(IDS, use_cache=True).past_key_values
    with pytest.raises(InputError, match="crop the cache"):
        model.generate(IDS, past_key_values=cache)
