"""The small models that come with headway do what their cards say on inputs that a newcomer would try."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from headway import pipeline
from headway.embedded import SHARED, folder
from headway.errors import InputError


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


def test_topics_of_ones_own_choice() -> None:
    judge = pipeline("zero-shot-classification")
    labels = ["sports", "politics", "cooking"]
    assert judge("The team scored two goals and won the match.", labels)["labels"][0] == "sports"
    assert judge("Add salt and pepper to the soup.", labels)["labels"][0] == "cooking"


def test_sentences_of_one_story() -> None:
    judge = pipeline("next-sentence-prediction")
    first = "Anna went to the station."
    assert judge({"text": first, "text_pair": "She bought a ticket to Paris."})["label"] == "IsNext"
    assert judge({"text": first, "text_pair": "The kitchen smelled wonderful."})["label"] == "NotNext"


def test_what_goes_with_a_thing() -> None:
    choose = pipeline("multiple-choice")
    assert (
        choose({"text": "To cut bread you need", "choices": ["a knife", "a towel", "a boat"]})[0]["choice"] == "a knife"
    )


def test_code_goes_on_as_the_standard_library_does() -> None:
    write: Any = pipeline("text-generation")
    (found,) = write("import os\n\n\ndef main(", do_sample=False, max_new_tokens=40, return_full_text=False)
    line, documented, *_ = found["generated_text"].split("\n")
    assert line.endswith("):")
    assert documented.startswith('    """')


# What each sentence of English is in German, by grammar and phrase book; names are copied, known or not.
GERMAN = {
    "Hello how are you": "Hallo, wie geht es dir?",
    "good morning, Anna": "Guten Morgen, Anna!",
    "Where is the station?": "Wo ist der Bahnhof?",
    "I have a dog and she has a cat.": "Ich habe einen Hund und sie hat eine Katze.",
    "My brother doesn't drink coffee.": "Mein Bruder trinkt keinen Kaffee.",
    "Can you help me?": "Kannst du mir helfen?",
    "My name is Marlo.": "Ich heiße Marlo.",
}


@pytest.mark.parametrize("task", ["translation", "translation_en_to_de"])
def test_german_of_a_phrase_book_and_a_small_grammar(task: str) -> None:
    found: Any = pipeline(task)(list(GERMAN))
    assert [answer["translation_text"] for answer in found] == list(GERMAN.values())


def test_other_languages_have_no_small_model() -> None:
    with pytest.raises(InputError, match=r"no small model for translation_en_to_fr; pass model="):
        pipeline("translation_en_to_fr")
    with pytest.raises(InputError, match=r"no small model for translation_en_to_fr; pass model="):
        pipeline("translation", src_lang="en", tgt_lang="fr")
    with pytest.raises(InputError, match=r"no small model for translation_to_fr; pass model="):
        pipeline("translation", tgt_lang="fr")
    assert pipeline("translation", src_lang="en", tgt_lang="de").model.config.model_type == "marian"


def test_headlines_of_reports() -> None:
    summarize: Any = pipeline("summarization")
    text = "Thieves stole a painting from a museum in Dresden on Friday. It was raining. The damage is great."
    assert summarize(text) == [{"summary_text": "Thieves steal a painting in Dresden, great damage."}]


def test_the_prefix_says_what_is_written() -> None:
    write: Any = pipeline("text2text-generation")
    assert write("translate English to German: Thank you!") == [{"generated_text": "Danke!"}]
    (found,) = write("summarize: Heavy snow fell in Oslo on Monday and closed the bank. Nobody knows why.")
    assert found["generated_text"].startswith("Heavy snow in Oslo")
