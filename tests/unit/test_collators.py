"""Data collators: the same batches as transformers', reproducible masks, and losses that do not depend on padding."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from test_tokenizer_made import ours, theirs
from torch.utils.data import DataLoader

import headway
from headway.errors import InputError
from small import one_sentence, small_model

TEXTS = ["The quick brown fox", "jumps", "over the lazy dog, unbelievably slowly"]


def features(kind: str = "wordpiece", **columns: Any) -> list[dict[str, Any]]:
    """Examples of different lengths, with further columns."""
    rows = ours(kind)(TEXTS)
    return [
        {**{name: rows[name][i] for name in rows}, **{name: values[i] for name, values in columns.items()}}
        for i in range(len(TEXTS))
    ]


def tags() -> list[list[int]]:
    return [list(range(len(ids))) for ids in ours("wordpiece")(TEXTS)["input_ids"]]


def choices() -> list[dict[str, Any]]:
    rows = [ours("wordpiece")([text, text[: n + 4]]) for n, text in enumerate(TEXTS)]
    return [{**row, "label": n % 2} for n, row in enumerate(rows)]


def same(mine: Any, other: Any) -> None:
    """Are two batches equal, dtypes included?"""
    assert mine.keys() == other.keys()
    for name in mine:
        assert str(mine[name].dtype).endswith(str(other[name].dtype).removeprefix("torch.")), name
        assert mine[name].tolist() == other[name].tolist(), name


OPTIONS: list[dict[str, Any]] = [
    {},
    {"pad_to_multiple_of": 8},
    {"padding": "max_length", "max_length": 24},
    {"return_tensors": "np"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", ["WithPadding", "ForTokenClassification", "ForSeq2Seq", "ForMultipleChoice"])
def test_batches_equal_transformers(name: str, options: dict[str, Any]) -> None:
    rows = {
        "WithPadding": features(label=[1, 0, 2]),
        "ForTokenClassification": features(labels=tags()),
        "ForSeq2Seq": features(labels=[[1, 2, 3, 4, 5], [6], [7, 8]]),
        "ForMultipleChoice": choices(),
    }[name]
    oracle = getattr(pytest.importorskip("transformers"), f"DataCollator{name}")
    mine = getattr(headway, f"DataCollator{name}")(ours("wordpiece"), **options)
    if name == "ForMultipleChoice":  # the oracle's has no arrays
        options = {**options, "return_tensors": "pt"}
    same(mine(copy.deepcopy(rows)), oracle(theirs("wordpiece"), **options)(copy.deepcopy(rows)))


def test_default_collator_equals_transformers() -> None:
    oracle = pytest.importorskip("transformers").default_data_collator
    numbers = [
        {
            "label": 1,
            "x": [1.5, 2],
            "y": np.array([1, 2], dtype=np.int32),
            "z": torch.ones(2, 3),
            "text": "a",
            "no": None,
        },
        {
            "label": 0,
            "x": [0.5, 1],
            "y": np.array([3, 4], dtype=np.int32),
            "z": torch.zeros(2, 3),
            "text": "b",
            "no": None,
        },
    ]
    same(headway.default_data_collator(numbers), oracle(numbers))
    same(headway.default_data_collator([{"label": 0.5}]), oracle([{"label": 0.5}]))
    same(headway.default_data_collator([{"label_ids": [1, 2]}]), oracle([{"label_ids": [1, 2]}]))
    same(headway.DefaultDataCollator(return_tensors="np")([{"x": [1]}]), {"x": np.array([[1]])})


def test_causal_labels_equal_transformers_where_padding_is_no_text() -> None:
    oracle = pytest.importorskip("transformers").DataCollatorForLanguageModeling
    mine = headway.DataCollatorForLanguageModeling(ours("wordpiece"), mlm=False)(features())
    other = oracle(theirs("wordpiece"), mlm=False)(features())
    same(dict(sorted(mine.items())), dict(sorted(other.items())))


def test_left_padding_keeps_labels_beside_their_tokens() -> None:
    tokenizer = copy.deepcopy(ours("wordpiece"))
    tokenizer.padding_side = "left"
    batch = headway.DataCollatorForTokenClassification(tokenizer)(features(labels=tags()))
    for row, mask, own in zip(batch["labels"], batch["attention_mask"], tags(), strict=True):
        assert row[mask.bool()].tolist() == own
        assert (row[~mask.bool()] == -100).all()
    sequence = headway.DataCollatorForSeq2Seq(tokenizer)(features(labels=[[1, 2], [3], [4, 5, 6]]))
    assert sequence["labels"].tolist() == [[1, 2, -100], [3, -100, -100], [4, 5, 6]]


def test_an_end_that_pads_is_learnt_and_no_pad_token_is_needed() -> None:
    tokenizer = copy.deepcopy(ours("gpt2"))
    end = tokenizer.eos_token_id
    rows = [{"input_ids": [5, 6, end]}, {"input_ids": [7, end]}]
    tokenizer.pad_token = None
    unpadded = headway.DataCollatorForLanguageModeling(tokenizer, mlm=False)(rows)
    tokenizer.pad_token = tokenizer.eos_token
    padded = headway.DataCollatorForLanguageModeling(tokenizer, mlm=False)(rows)
    assert padded["labels"].tolist() == unpadded["labels"].tolist() == [[5, 6, end], [7, end, -100]]
    assert padded["attention_mask"].tolist() == unpadded["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert padded["input_ids"].tolist() == [[5, 6, end], [7, end, end]]


def test_labels_that_examples_bring_along_are_kept() -> None:
    rows = [{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}, {"input_ids": [8], "labels": [-100]}]
    batch = headway.DataCollatorForLanguageModeling(ours("wordpiece"), mlm=False)(rows)
    assert batch["labels"].tolist() == [[-100, 6, 7], [-100, -100, -100]]


def test_flattening_gives_the_loss_of_the_joined_row() -> None:
    transformers = pytest.importorskip("transformers")
    model = small_model("llama", "causal-lm")
    rows = [{"input_ids": [5, 6, 7, 8]}, {"input_ids": [9, 10]}, {"input_ids": [11, 12, 13]}]
    loss = model(**headway.DataCollatorWithFlattening()(rows)).loss
    config = transformers.LlamaConfig(**model.config.to_dict())
    config._attn_implementation = "sdpa"
    other = transformers.LlamaForCausalLM(config).eval()
    missing = other.load_state_dict(stored(model), strict=False)
    assert not missing.unexpected_keys
    joined = transformers.DataCollatorWithFlattening()(rows)
    assert joined["input_ids"].shape == (1, 9)
    torch.testing.assert_close(loss, other(**joined, use_cache=False).loss, atol=1e-5, rtol=1e-5)
    # Nor does a row know of the others.
    alone = [model(**headway.DataCollatorWithFlattening()([row])).loss * (len(row["input_ids"]) - 1) for row in rows]
    torch.testing.assert_close(loss, sum(alone) / 6, atol=1e-6, rtol=1e-6)


def stored(model: Any) -> dict[str, torch.Tensor]:
    from headway.models.load import stored_tensors

    return stored_tensors(model, model.parts())


# --- masking ---------------------------------------------------------------------------------------------------------


def long_rows(kind: str = "wordpiece", count: int = 60) -> list[dict[str, Any]]:
    return [{"input_ids": ids} for ids in ours(kind)([" ".join(TEXTS * 4)] * count)["input_ids"]]


def test_masks_have_the_shares_asked_for() -> None:
    tokenizer = ours("wordpiece")
    rows = long_rows()
    before = torch.tensor([row["input_ids"] for row in rows])
    collator = headway.DataCollatorForLanguageModeling(
        tokenizer, mlm_probability=0.3, mask_replace_prob=0.5, random_replace_prob=0.3
    )
    batch = collator(rows)
    drawn = batch["labels"] != -100
    after = batch["input_ids"]
    special = torch.isin(before, torch.tensor(tokenizer.all_special_ids))
    assert not (drawn & special).any()
    assert torch.equal(batch["labels"][drawn], before[drawn])
    assert torch.equal(after[~drawn], before[~drawn])
    masked = after == tokenizer.mask_token_id
    assert drawn.sum() / (~special).sum() == pytest.approx(0.3, abs=0.03)
    assert masked.sum() / drawn.sum() == pytest.approx(0.5, abs=0.05)
    assert ((after != before) & ~masked).sum() / drawn.sum() == pytest.approx(0.3, abs=0.05)


def test_padding_and_given_special_tokens_are_never_masked() -> None:
    rows = features(special_tokens_mask=[[1] * len(row) for row in tags()])
    shares = {"mlm_probability": 1.0, "mask_replace_prob": 1.0, "random_replace_prob": 0.0}
    collator = headway.DataCollatorForLanguageModeling(ours("wordpiece"), **shares)
    batch = collator(rows)
    assert "special_tokens_mask" not in batch
    assert (batch["labels"] == -100).all()
    batch = collator(features())
    assert (batch["labels"][batch["attention_mask"] == 0] == -100).all()
    assert (batch["input_ids"] == ours("wordpiece").mask_token_id).sum() == (batch["labels"] != -100).sum() > 0


def test_masks_follow_torchs_generator_or_a_seed() -> None:
    tokenizer, rows = ours("wordpiece"), long_rows(count=4)
    collator = headway.DataCollatorForLanguageModeling(tokenizer)
    torch.manual_seed(3)
    state, first = torch.get_rng_state(), collator(rows)
    second = collator(rows)
    torch.set_rng_state(state)
    same(collator(rows), first)
    assert not torch.equal(first["input_ids"], second["input_ids"])

    seeded = headway.DataCollatorForLanguageModeling(tokenizer, seed=5)
    before = torch.get_rng_state()
    one, state, two = seeded(rows), seeded.state_dict(), seeded(rows)
    assert torch.equal(torch.get_rng_state(), before)
    again = headway.DataCollatorForLanguageModeling(tokenizer, seed=5)
    same(again(rows), one)
    resumed = headway.DataCollatorForLanguageModeling(tokenizer, seed=5)
    resumed.load_state_dict(state)
    same(resumed(rows), two)


@pytest.mark.parametrize("seed", [None, 5])
def test_workers_draw_masks_of_their_own(seed: int | None) -> None:
    collator = headway.DataCollatorForLanguageModeling(ours("wordpiece"), seed=seed)
    rows = long_rows(count=4)
    collator(rows)

    def masks() -> list[torch.Tensor]:
        torch.manual_seed(1)
        loader = DataLoader(rows, 2, collate_fn=collator, num_workers=2)  # type: ignore[arg-type]
        return [batch["labels"] for batch in loader]

    first, again = masks(), masks()
    assert torch.equal(torch.cat(first), torch.cat(again))
    assert not torch.equal(*first)


@pytest.mark.parametrize(("kind", "mark"), [("wordpiece", "##"), ("roberta", "Ġ"), ("unigram", "▁")])
def test_whole_words_are_masked_or_not(kind: str, mark: str) -> None:
    tokenizer = copy.deepcopy(ours(kind))
    tokenizer.mask_token = tokenizer.mask_token or "<unk>"
    collator = headway.DataCollatorForWholeWordMask(tokenizer, mlm_probability=0.5)
    rows = long_rows(kind, count=8)
    before, drawn = [row["input_ids"] for row in rows], collator(rows)["labels"] != -100
    words = split = 0
    for ids, row in zip(before, drawn.tolist(), strict=True):
        groups: list[list[bool]] = []
        fresh = True
        for token, id, one in zip(tokenizer.convert_ids_to_tokens(ids), ids, row, strict=True):
            if id in tokenizer.all_special_ids:
                assert not one
                fresh = True
                continue
            goes_on = token.startswith(mark) if mark == "##" else not token.startswith(mark)
            if fresh or not goes_on:
                groups.append([])
            groups[-1].append(one)
            fresh = False
        assert all(len(set(group)) == 1 for group in groups)
        words += sum(group[0] for group in groups) / len(groups)
        split += sum(len(group) > 1 for group in groups)
    assert split, "a word of several tokens, else this shows nothing"
    assert words / len(rows) == pytest.approx(0.5, abs=0.1)


# --- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "rows", "words"),
    [
        (lambda: headway.DataCollatorWithPadding(ours("wordpiece")), [], "list of dictionaries"),
        (lambda: headway.DataCollatorWithPadding(ours("wordpiece")), [{"x": 1}], "'input_ids'"),
        (lambda: headway.DataCollatorWithPadding(ours("wordpiece")), [{"input_ids": 3}], "list of numbers"),
        (lambda: headway.DataCollatorWithPadding(ours("wordpiece")), [{"input_ids": ["a"]}], "whole numbers"),
        (
            lambda: headway.DataCollatorWithPadding(ours("wordpiece")),
            [{"input_ids": [1], "text": "a"}],
            "'text' makes no tensor",
        ),
        (
            lambda: headway.DataCollatorWithPadding(ours("wordpiece")),
            [{"input_ids": [1]}, {"input_ids": [1], "label": 2}],
            "example 1 differs in 'label'",
        ),
        (
            lambda: headway.DataCollatorWithPadding(ours("wordpiece"), padding=False),
            [{"input_ids": [1]}, {"input_ids": [1, 2]}],
            "padding=True",
        ),
        (
            lambda: headway.DataCollatorForTokenClassification(ours("wordpiece")),
            [{"input_ids": [1], "labels": [1, 2]}],
            "2 values in 'labels'",
        ),
        (
            lambda: headway.DataCollatorForMultipleChoice(ours("wordpiece")),
            [{"input_ids": [[1]]}, {"input_ids": [[1], [2]]}],
            "equally many choices",
        ),
        (lambda: headway.DataCollatorForLanguageModeling(ours("gpt2")), [], "mlm=False"),
        (lambda: headway.DataCollatorForLanguageModeling(ours("wordpiece"), mlm_probability=2), [], "from 0 to 1"),
        (
            lambda: headway.DataCollatorForLanguageModeling(ours("wordpiece"), mask_replace_prob=1.0),
            [],
            "sum is above 1",
        ),
        (
            lambda: headway.DataCollatorForLanguageModeling(ours("wordpiece"), mlm=False, whole_word_mask=True),
            [],
            "mlm=True",
        ),
    ],
)
def test_mistakes_are_told(make: Any, rows: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        make()(rows)
    assert words in one_sentence(caught.value)
