"""Windows and batches: nothing is left out, nothing is too long."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tqdm import tqdm

from headway.errors import InputError
from headway.pipelines.batches import batches
from headway.pipelines.windows import merge, split
from headway.progress import progress

frames = st.integers(0, 2)


@given(st.integers(0, 3), st.integers(1, 80), frames, st.integers(1, 30), st.none() | st.integers(0, 40))
def test_windows_hold_every_token_and_the_frame(
    before: int, text: int, after: int, room: int, overlap: int | None
) -> None:
    sequences = [None] * before + [0] * text + [None] * after
    limit = before + after + room
    windows = split(sequences, 0, limit, overlap)
    assert set(np.concatenate([window.tokens for window in windows]).tolist()) == set(range(len(sequences)))
    for window in windows:
        tokens = window.tokens.tolist()
        assert len(tokens) <= limit
        assert tokens == sorted(tokens)
        inner = [token for token in tokens if before <= token < before + text]
        assert inner == list(range(inner[0], inner[-1] + 1))
        assert len(tokens) == len(inner) + before + after
    assert len(windows) == len({window.tokens.tobytes() for window in windows})


@given(st.integers(1, 80), st.integers(1, 30), st.none() | st.integers(0, 40))
def test_merging_takes_each_token_from_the_window_with_most_around_it(
    text: int, room: int, overlap: int | None
) -> None:
    sequences = [None, *[0] * text, None]
    windows = split(sequences, 0, room + 2, overlap)
    rows = [np.stack([window.tokens, np.full(len(window.tokens), number)], 1) for number, window in enumerate(windows)]
    tokens, values = merge(windows, rows)
    assert tokens.tolist() == list(range(text + 2))
    assert values[:, 0].tolist() == tokens.tolist()
    assert values[0, 1] == 0
    assert values[-1, 1] == len(windows) - 1
    for token in range(1, text + 1):
        margins = [
            window.margin[window.tokens.tolist().index(token)] if token in window.tokens else -1 for window in windows
        ]
        assert margins[values[token, 1]] == max(margins)


def test_the_fixed_part_of_a_pair_is_in_every_window() -> None:
    sequences = [None, 0, 0, 0, None, *[1] * 20, None]
    for window in split(sequences, 1, 12, 2):
        assert window.tokens[:5].tolist() == [0, 1, 2, 3, 4]
        assert window.tokens[-1] == 25
    with pytest.raises(InputError, match="no room"):
        split(sequences, 1, 6, 2)


@given(st.lists(st.integers(1, 100), max_size=60), st.integers(1, 300), st.none() | st.integers(1, 7))
def test_batches_hold_every_row_once_within_the_budget(lengths: list[int], budget: int, most: int | None) -> None:
    made = list(batches(lengths, budget, most))
    assert sorted(number for batch in made for number in batch) == list(range(len(lengths)))
    for batch in made:
        longest = max(lengths[number] for number in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget
        assert most is None or len(batch) <= most


def test_progress_is_shown_to_those_who_watch_and_wait(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown() -> str:
        with progress("fill-mask", 30) as bar:
            bar.update(10)
            bar.refresh()
        out, err = capsys.readouterr()
        assert not out
        return err

    assert not shown()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("headway.progress.LONG", 0)
    monkeypatch.setattr(sys.modules["huggingface_hub.utils.tqdm"], "tqdm", tqdm)  # else off in tests
    assert "fill-mask" in shown()
