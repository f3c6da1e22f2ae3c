"""Long texts in parts: nothing is left out, every part fits, and cuts go where a reader would make them."""

from __future__ import annotations

import re
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.pipelines.cutting import Part, cut, joined


def starts_of(text: str) -> list[int]:
    """Where words and marks begin, as tokens."""
    return [found.start() for found in re.finditer(r"\w+|[^\w\s]", text)]


@given(st.text("ab .,\n。!”", max_size=80), st.integers(1, 9))
def test_parts_are_the_text_and_fit(text: str, room: int) -> None:
    starts = starts_of(text)
    parts = cut(text, starts, room)
    assert "".join(part.text + part.after for part in parts) == text
    bounds = list(accumulate((len(part.text + part.after) for part in parts), initial=0))
    for begin, end in pairwise(bounds):
        assert sum(begin <= start < end for start in starts) <= room
    assert len(parts) == 1 or all(part.text for part in parts[:-1])


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(1, 5))
def test_tokens_that_share_a_character(steps: list[int], room: int) -> None:
    starts = list(accumulate(step // 3 for step in steps))
    text = "x" * (starts[-1] + 1)
    assert "".join(part.text + part.after for part in cut(text, starts, room)) == text


@pytest.mark.parametrize(
    ("text", "room", "want"),
    [
        ("One two. Three four. Five six.", 6, [Part("One two. Three four.", " "), Part("Five six.", "")]),
        ("One two.\n\nThree four. Five six.", 6, [Part("One two.", "\n\n"), Part("Three four. Five six.", "")]),
        ("one two three four, five six seven", 6, [Part("one two three four,", " "), Part("five six seven", "")]),
        ("one two three four", 2, [Part("one two", " "), Part("three four", "")]),
        ('He said "no." She left at once.', 8, [Part('He said "no."', " "), Part("She left at once.", "")]),
    ],
)
def test_cuts_go_to_the_ends_of_sentences(text: str, room: int, want: list[Part]) -> None:
    assert cut(text, starts_of(text), room) == want


def test_sentences_without_spaces() -> None:
    text = "我喜欢河。你在哪里？"
    parts = cut(text, list(range(len(text))), 6)
    assert parts == [Part("我喜欢河。", ""), Part("你在哪里？", "")]
    assert joined(["I like rivers.", "Where are you?"], parts) == "I like rivers. Where are you?"
    assert joined(["川が好きだ。", "どこ？"], parts) == "川が好きだ。どこ？"
    lines = [Part("a", "\n\n"), Part("b", "")]
    assert joined(["x", "y"], lines) == "x\n\ny"


def test_parts_are_of_about_one_length() -> None:
    text = "one two three. " * 21
    starts = starts_of(text)
    sizes = [len(starts_of(part.text)) for part in cut(text, starts, 60)]
    assert sizes == [44, 40]
