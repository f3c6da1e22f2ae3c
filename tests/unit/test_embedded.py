"""The small models that come with headway do what their cards say on inputs that a newcomer would try."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from headway import pipeline
from headway.embedded import SHARED, folder


@pytest.mark.parametrize("task", sorted(SHARED))
def test_tasks_share_a_model(task: str) -> None:
    assert folder(task) == folder(SHARED[task])


def test_digits_of_the_collection_in_any_size_and_ink() -> None:
    digits, classify = load_digits(), pipeline("image-classification")
    images = [Image.fromarray((pixels * 15).astype(np.uint8)) for pixels in digits.images[:60:6]]
    labels = [str(label) for label in digits.target[:60:6]]
    for given in (
        images,
        [image.resize((90, 90)) for image in images],
        [image.point(lambda v: 255 - v) for image in images],
    ):
        right = [answer[0]["label"] == label for answer, label in zip(classify(given), labels, strict=True)]
        assert sum(right) >= 9


def test_a_picture_becomes_vectors() -> None:
    vectors: Any = pipeline("image-feature-extraction")(Image.new("L", (20, 20)))
    assert np.array(vectors).shape[-1] == 64
