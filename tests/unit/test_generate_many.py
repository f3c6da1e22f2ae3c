"""Many prompts: each gives what it gives alone, in order, while rows come and go and the budget holds."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from tqdm import tqdm

from headway import GenerationConfig, InputError, QuantizedCache
from headway.generation import many
from small import PAIRS, WRITERS, one_sentence, small_model, writer

writers = pytest.mark.parametrize(("model_type", "task"), WRITERS)
GENERATOR = torch.Generator().manual_seed(11)
LENGTHS = torch.randint(1, 18, (13,), generator=GENERATOR).tolist()
PROMPTS = [torch.randint(5, 60, (length,), generator=GENERATOR).tolist() for length in LENGTHS]
ENDS = [2, *range(5, 60, 5)]


def alone(model: Any, prompts: list[list[int]], **asked: Any) -> list[list[int]]:
    """What ``generate`` gives for each; of several texts of one prompt, without the padding behind the shorter."""
    found = [row.tolist() for prompt in prompts for row in model.generate(torch.tensor([prompt]), **asked)]
    for row in found:
        while "num_return_sequences" in asked and row[-1] == 1:
            row.pop()
    return found


def lists(rows: list[Tensor]) -> list[list[int]]:
    assert all(row.dim() == 1 and row.dtype == torch.int64 for row in rows)
    return [row.tolist() for row in rows]


class Passes:
    """What a model is fed: rows and tokens of each pass, and the most that its caches hold."""

    def __init__(self, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shapes: list[tuple[int, int]] = []
        self.held = 0
        plain: Callable[..., Any] = type(model).next_scores

        def counted(model: Any, ids: Tensor, mask: Tensor | None, cache: Any, *args: Any, **kwargs: Any) -> Any:
            found = plain(model, ids, mask, cache, *args, **kwargs)
            self.shapes.append((ids.shape[0], ids.numel() if mask is None else int(mask.sum())))
            cross = max((keys.shape[2] for keys, _, _ in cache.cross.values()), default=0)
            self.held = max(self.held, ids.shape[0] * (cache[0][0].shape[2] + cross))
            return found

        monkeypatch.setattr(type(model), "next_scores", counted)

    @property
    def tokens(self) -> int:
        return sum(tokens for _, tokens in self.shapes)


STRATEGIES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "ends": {"eos_token_id": ENDS},
    "length": {"max_length": 24, "eos_token_id": ENDS},
    "penalised": {"repetition_penalty": 1.5, "no_repeat_ngram_size": 2, "min_new_tokens": 3, "eos_token_id": ENDS},
    "static": {"cache_implementation": "static", "eos_token_id": ENDS},
    "by the prompt": {"encoder_repetition_penalty": 1.4, "min_length": 12, "forced_eos_token_id": 2},
    "beams": {"num_beams": 2, "num_return_sequences": 2, "eos_token_id": [2, *range(5, 60, 9)]},
    "contrastive": {"penalty_alpha": 0.6, "top_k": 3},
    "lookup": {"prompt_lookup_num_tokens": 3, "eos_token_id": ENDS},
    "guided": {"guidance_scale": 1.5},
}


@writers
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_prompt_gives_what_it_gives_alone(model_type: str, task: str, strategy: str) -> None:
    model = writer(model_type, task)
    asked = {"max_new_tokens": 9, **STRATEGIES[strategy]}
    if "max_length" in asked:
        asked.pop("max_new_tokens")
    expected = alone(model, PROMPTS, **asked)
    for tokens in (60, 10_000):
        assert lists(model.generate_many(PROMPTS, tokens=tokens, **asked)) == expected


@pytest.mark.parametrize(("model_type", "task"), [pair for pair in PAIRS if pair[1] in ("causal-lm", "seq2seq-lm")])
def test_every_family_that_writes(model_type: str, task: str) -> None:
    """Whatever layers keep of the past, rows of it come and go."""
    model = writer(model_type, task)
    asked = {"max_new_tokens": 7, "eos_token_id": ENDS}
    expected = alone(model, PROMPTS[:6], **asked)
    assert lists(model.generate_many(PROMPTS[:6], tokens=70, **asked)) == expected
    assert len(model.generate_many(PROMPTS[:6], tokens=70, cache_implementation="quantized", **asked)) == 6


@writers
@pytest.mark.parametrize("tokens", [40, 90, 200, 100_000])
def test_the_budget_holds(model_type: str, task: str, tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = writer(model_type, task)
    passes = Passes(model, monkeypatch)
    found = model.generate_many(PROMPTS, tokens=tokens, max_new_tokens=9, eos_token_id=ENDS)
    assert len(found) == len(PROMPTS)
    assert passes.held <= tokens
    assert max(tokens for _, tokens in passes.shapes) <= tokens
    rows = max(rows for rows, _ in passes.shapes)
    assert rows == len(PROMPTS) if tokens == 100_000 else 1 < rows < len(PROMPTS) or tokens == 40


def test_rows_of_uneven_rooms_stay_in_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """With max_length the longest prompt is done first, and is fed on until rows are exchanged."""
    model = writer("llama")
    passes = Passes(model, monkeypatch)
    model.generate_many([PROMPTS[0][:1] * n for n in (19, 2, 3, 4, 5, 1, 1, 2)], tokens=160, max_length=20)
    assert passes.held <= 160
    assert [rows for rows, _ in passes.shapes[:3]] == [8, 8, 7]


@pytest.mark.parametrize("search", [{"num_beams": 3}, {"penalty_alpha": 0.6, "top_k": 4}, {"guidance_scale": 1.5}])
@pytest.mark.parametrize(("model_type", "task"), [("gpt2", "causal-lm"), ("bart", "seq2seq-lm")])
def test_the_budget_holds_batch_by_batch(
    model_type: str, task: str, search: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = writer(model_type, task)
    passes = Passes(model, monkeypatch)
    model.generate_many(PROMPTS, tokens=250, max_new_tokens=6, **search)
    assert passes.held <= 250
    assert max(rows for rows, _ in passes.shapes) > search.get("num_beams", search.get("top_k", 1))


def test_finished_rows_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what a pass is fed, less than a quarter is behind the end of a row."""
    model = writer("llama")
    prompts = PROMPTS * 4
    useful = sum(len(row) - 1 for row in alone(model, prompts, max_new_tokens=40, eos_token_id=ENDS))
    passes = Passes(model, monkeypatch)
    found = model.generate_many(prompts, tokens=600, max_new_tokens=40, eos_token_id=ENDS)
    assert sum(len(row) - 1 for row in found) == useful
    assert useful <= passes.tokens <= useful + sum(rows for rows, _ in passes.shapes) / many.SHARE
    # Were rows kept until their batch is done, each batch of ten would take as long as its longest text.
    order = sorted(range(len(prompts)), key=lambda number: -len(prompts[number]))
    new = [len(found[number]) - len(prompts[number]) for number in order]
    assert len(passes.shapes) < 0.7 * sum(max(new[at : at + 10]) for at in range(0, len(new), 10))


def test_others_come_in_while_rows_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    model = writer("llama")
    passes = Passes(model, monkeypatch)
    model.generate_many(PROMPTS * 4, tokens=600, max_new_tokens=40, eos_token_id=ENDS)
    reading = [at for at, (rows, tokens) in enumerate(passes.shapes) if tokens > rows]
    assert len(reading) > 3
    # What is read joins rows that stay: the pass before and the pass after have rows in common.
    joined = [at for at in reading[1:-1] if passes.shapes[at + 1][0] > passes.shapes[at][0]]
    assert joined


def test_prompts_are_read_without_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    model = writer("llama")
    passes = Passes(model, monkeypatch)
    model.generate_many(PROMPTS, max_new_tokens=1)
    assert passes.shapes == [(len(PROMPTS), sum(LENGTHS))]


def test_all_kinds_of_lists() -> None:
    model = writer("gpt2")
    expected = alone(model, PROMPTS, max_new_tokens=4)
    assert lists(model.generate_many(PROMPTS, max_new_tokens=4)) == expected
    assert lists(model.generate_many(map(torch.tensor, PROMPTS), max_new_tokens=4)) == expected
    assert lists(model.generate(PROMPTS, max_new_tokens=4)) == expected
    assert lists(model.generate(tuple(map(torch.tensor, PROMPTS)), max_new_tokens=4, tokens=50)) == expected
    assert lists(model.generate_many(PROMPTS, GenerationConfig(max_new_tokens=4))) == expected
    assert lists(model.generate_many(torch.tensor([PROMPTS[0]]), max_new_tokens=4)) == expected[:1]
    assert model.generate_many([]) == []
    assert model.generate([]) == []


def test_texts_with_a_tokenizer() -> None:
    model = writer("gpt2")
    texts = {"one": PROMPTS[0], "two": PROMPTS[1]}
    found = model.generate(list(texts), tokenizer=lambda text: {"input_ids": texts[text]}, max_new_tokens=4)
    assert lists(found) == alone(model, list(texts.values()), max_new_tokens=4)


@writers
def test_a_prompt_that_needs_more_than_the_budget_is_written_alone(
    model_type: str, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = writer(model_type, task)
    expected = alone(model, PROMPTS[:4], max_new_tokens=5)
    passes = Passes(model, monkeypatch)
    assert lists(model.generate_many(PROMPTS[:4], tokens=1, max_new_tokens=5)) == expected
    assert {rows for rows, _ in passes.shapes} == {1}


# --- drawing ------------------------------------------------------------------------------------------------------


def test_draws() -> None:
    model = writer("gpt2")
    asked = {"do_sample": True, "max_new_tokens": 8, "tokens": 80, "eos_token_id": ENDS}
    one, two, other = (
        lists(model.generate_many(PROMPTS, **asked, generator=torch.Generator().manual_seed(seed)))
        for seed in (4, 4, 5)
    )
    assert one == two
    assert one != other
    assert all(row[: len(prompt)] == prompt for row, prompt in zip(one, PROMPTS, strict=True))
    assert lists(model.generate_many(PROMPTS, **asked, top_k=1)) == alone(
        model, PROMPTS, max_new_tokens=8, eos_token_id=ENDS
    )


def test_one_prompt_draws_as_generate_does() -> None:
    model = writer("gpt2")
    asked = {"do_sample": True, "max_new_tokens": 8, "temperature": 1.3, "top_p": 0.9, "repetition_penalty": 1.2}
    drawn = model.generate(torch.tensor(PROMPTS[:1]), **asked, generator=torch.Generator().manual_seed(4))
    found = model.generate_many(PROMPTS[:1], **asked, generator=torch.Generator().manual_seed(4))
    assert torch.equal(found[0], drawn[0])


def test_several_texts_of_each_prompt() -> None:
    model = writer("llama")
    found = model.generate_many(PROMPTS, do_sample=True, num_return_sequences=3, max_new_tokens=6, tokens=100)
    assert len(found) == 3 * len(PROMPTS)
    for at, row in enumerate(lists(found)):
        assert row[: LENGTHS[at // 3]] == PROMPTS[at // 3]
    assert len({tuple(row) for row in lists(found[:3])}) > 1


def test_draws_follow_the_probabilities() -> None:
    """Of many draws of one token, each token comes as often as its probability says."""
    model, prompt, count = writer("gpt2", vocab_size=8), [3, 5, 6], 4000
    found = model.generate_many(
        [prompt], do_sample=True, top_k=0, max_new_tokens=1, num_return_sequences=count, tokens=500,
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    shares = torch.bincount(torch.stack(found)[:, -1], minlength=8) / count
    with torch.no_grad():
        expected = model(torch.tensor([prompt])).logits[0, -1].softmax(-1)
    assert float((shares - expected).abs().max()) < 4 * (0.25 / count) ** 0.5


# --- what callers add ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", [{}, {"num_beams": 2}])
def test_processors_see_one_text(search: dict[str, Any]) -> None:
    model, seen = writer("gpt2"), []

    def watched(ids: Tensor, scores: Tensor) -> Tensor:
        seen.append(ids.shape)
        return scores.index_fill(1, ids[0, :1], float("-inf"))

    asked = {"max_new_tokens": 5, "logits_processor": [watched]}
    found = lists(model.generate_many(PROMPTS, tokens=60, **asked))
    if not search:
        assert found == alone(model, PROMPTS, **asked)
        assert all(shape[0] == 1 for shape in seen)


def test_criteria_and_allowed_tokens_are_those_of_the_prompt() -> None:
    model = writer("gpt2")
    stop = [lambda ids, scores, **kwargs: torch.tensor([ids.shape[1] >= 12 or int(ids[0, -1]) % 7 == 0])]
    found = lists(model.generate_many(PROMPTS, stopping_criteria=stop, max_new_tokens=15, tokens=90))
    assert found == alone(model, PROMPTS, stopping_criteria=stop, max_new_tokens=15)

    def allowed(row: int, ids: Tensor) -> list[int]:
        assert ids[: LENGTHS[row]].tolist() == PROMPTS[row]
        return [row + 10, row + 30]

    for search in ({}, {"num_beams": 2}, {"do_sample": True}):
        found = lists(
            model.generate_many(
                PROMPTS, prefix_allowed_tokens_fn=allowed, max_new_tokens=4, tokens=90, eos_token_id=None, **search
            )
        )
        for row, text in enumerate(found):
            assert {*text[LENGTHS[row] :]} <= {row + 10, row + 30}
            assert len(text) == LENGTHS[row] + 4


def test_the_time_is_that_of_the_whole_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is over nothing more is begun: what waits is given back as it is."""
    for task, model_type in (("causal-lm", "gpt2"), ("seq2seq-lm", "bart")):
        model = writer(model_type, task)
        passes = Passes(model, monkeypatch)
        for search in ({}, {"num_beams": 2}):
            passes.shapes.clear()
            found = lists(
                model.generate_many(PROMPTS, max_new_tokens=50, max_time=1e-9, tokens=80, eos_token_id=None, **search)
            )
            begin = [[3]] * len(PROMPTS) if model.task == "seq2seq-lm" else PROMPTS
            new = [len(row) - len(start) for row, start in zip(found, begin, strict=True)]
            assert all(row[: len(start)] == start for row, start in zip(found, begin, strict=True))
            assert sum(count == 0 for count in new) > len(PROMPTS) / 2
            assert max(new) <= 1
            assert len(passes.shapes) <= 1


@pytest.mark.parametrize("model_type", ["gpt2", "llama", "mistral"])
def test_a_beginning_that_all_share_is_read_once(model_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, begin = writer(model_type), [7, 8, 9, 10, 11, 12]
    prompts = [begin + prompt for prompt in PROMPTS]
    expected = alone(model, prompts, max_new_tokens=6)
    with torch.no_grad():
        cache = model(torch.tensor([begin]), use_cache=True).past_key_values
    for _ in range(2):
        with monkeypatch.context() as patch:
            passes = Passes(model, patch)
            found = model.generate_many(prompts, past_key_values=cache, max_new_tokens=6, tokens=150)
        assert lists(found) == expected
        assert passes.tokens < sum(map(len, prompts)) + 5 * len(prompts)
        assert cache.lengths == 6
        assert cache[0][0].shape[0] == 1


def test_eight_bit_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    model, kinds = writer("gpt2"), set()
    original = many.read_prompts
    monkeypatch.setattr(
        many, "read_prompts", lambda *args: (found := original(*args), kinds.add(type(found.decoder.cache)))[0]
    )
    found = model.generate_many(PROMPTS, cache_implementation="quantized", max_new_tokens=6, tokens=90)
    assert kinds == {QuantizedCache}
    plain = model.generate_many(PROMPTS, max_new_tokens=1)
    assert [row[: len(first)].tolist() for row, first in zip(found, plain, strict=True)] == lists(plain)


# --- the rest -----------------------------------------------------------------------------------------------------


class Terminal:
    """A stream that says it is a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def test_a_bar_where_it_takes_long(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    model = writer("gpt2")
    model.generate_many(PROMPTS, max_new_tokens=2)
    assert capfd.readouterr() == ("", "")
    texts = []
    for progress, long in ((True, 3), (True, 0), (False, 0)):
        with monkeypatch.context() as patch:
            patch.setattr("sys.stderr", terminal := Terminal())
            patch.setattr("headway.progress.LONG", long)
            patch.setattr(
                sys.modules["huggingface_hub.utils.tqdm"], "tqdm", tqdm
            )  # the hub's own is switched off in tests
            model.generate_many(PROMPTS, max_new_tokens=2, progress=progress)
        texts.append(terminal.text)
    assert "0/13" in texts[1]
    assert texts[0] == texts[2] == ""


def test_the_mode_and_the_prompts_stay_as_they_are() -> None:
    model = writer("gpt2").train()
    given = [torch.tensor(prompt) for prompt in PROMPTS]
    before = copy.deepcopy(given)
    model.generate_many(given, max_new_tokens=2)
    assert model.training
    assert all(map(torch.equal, given, before))


@pytest.mark.parametrize(
    ("prompts", "asked", "message"),
    [
        ("text", {}, "Expected a list of prompts, got a str"),
        (7, {}, "Expected a list of prompts, got a int"),
        (["text"], {}, "pass the tokenizer too"),
        ([[5], []], {}, "Prompt 1 has shape [0]"),
        ([[5], [[5]]], {}, "Prompt 1 has shape [1, 1]"),
        ([[5.5]], {}, "Prompt 0 has shape [1] and holds torch.float32"),
        ([[5], [-1]], {}, "Prompt 1"),
        ([[5], ["a"]], {}, "Prompt 1 is no list of token ids"),
        ([[5], None], {}, "Prompt 1 is no list of token ids"),
        ([[5]], {"tokens": 0}, "tokens=0 is out of range"),
        ([[5]], {"attention_mask": torch.ones(1, 1)}, "takes no attention_mask"),
        ([[5]], {"past_key_values": 3}, "pass a cache of one row"),
        ([[5]], {"return_dict_in_generate": True}, "gives ids alone"),
        ([[5]], {"max_new_token": 3}, "Did you mean 'max_new_tokens'?"),
        ([[5]], {"decoder_start_token_id": [3, 4]}, "give one id"),
        ([[5], [5] * 9], {"max_length": 9}, "leaves no room after a prompt of 9 tokens"),
    ],
)
def test_what_cannot_be_asked(prompts: Any, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        writer("gpt2").generate_many(prompts, **asked)
    assert message in one_sentence(error.value)


def test_who_cannot_write() -> None:
    with pytest.raises(InputError, match="AutoModelForCausalLM or AutoModelForSeq2SeqLM"):
        small_model("gpt2").generate_many(PROMPTS)
    with pytest.raises(InputError, match="takes no past_key_values"):
        writer("t5", "seq2seq-lm").generate_many(PROMPTS, past_key_values=3)
    for name in ("streamer", "negative_prompt_ids"):
        with pytest.raises(InputError, match=f"{name} goes with one batch"):
            writer("gpt2").generate(PROMPTS, **{name: 3})
