"""The small model for text-classification: is a short review positive or negative?"""

from __future__ import annotations

import random
from typing import Any

import torch
from common import arguments, card, fill, held_out, save, shuffled, small, train, wordpiece, words
from torch.nn import functional as F

from headway import BertForSequenceClassification, pipeline

DATA = words("text_classification")
GOOD, BAD = DATA["positive"], DATA["negative"]


def side(own: dict[str, list[str]], other: dict[str, list[str]]) -> dict[str, list[str]]:
    """The words of one side: its own, and those of the other to be denied."""
    return {**DATA["shared"], **own, "anti": other["adj"], "hate": other["love"]}


WORDS = [side(BAD, GOOD), side(GOOD, BAD)]


def sentences(templates: list[str], count: int, chance: random.Random) -> list[tuple[str, int]]:
    """Reviews with their labels, no two alike."""
    found: dict[str, int] = {}
    for _ in range(20 * count):
        label = chance.randrange(2)
        # Twice: a verdict may have a slot of its own.
        template, _ = fill(chance.choice(templates), {**WORDS[label], "see": ["{see}"]}, chance)
        text, _ = fill(template, WORDS[label], chance)
        found.setdefault(text, label)
        if len(found) == count:
            break
    return list(found.items())


def main() -> None:
    chosen = arguments("text-classification", 1500, __doc__)
    chance = random.Random(chosen.seed)
    every = sentences(DATA["templates"], 30000, chance)
    examples = [one for one in every if not held_out(one[0])]
    tokenizer = wordpiece([text for text, _ in examples], 1000, 128)
    config = small(tokenizer, id2label={0: "NEGATIVE", 1: "POSITIVE"})
    model = BertForSequenceClassification(config)

    def batches():  # type: ignore[no-untyped-def]
        for batch in shuffled(examples, 64, chance):
            inputs = tokenizer([text for text, _ in batch], padding=True, return_tensors="pt")
            yield {**inputs, "labels": torch.tensor([label for _, label in batch])}

    def loss(model: Any, batch: dict[str, Any]) -> torch.Tensor:
        # Smoothed: made-up sentences leave no doubt, real ones should.
        labels = batch.pop("labels")
        return F.cross_entropy(model(**batch).logits, labels, label_smoothing=0.1)

    train(model, batches(), chosen.steps, loss_of=loss)
    classify = pipeline("text-classification", model, tokenizer=tokenizer)

    def accuracy(cases: list[tuple[str, int]]) -> float:
        answers = classify([text for text, _ in cases])
        return sum(a["label"] == config.label(label) for a, (_, label) in zip(answers, cases, strict=True)) / len(cases)

    metrics = {
        "accuracy, new combinations of words": accuracy([one for one in every if held_out(one[0])]),
        "accuracy, templates of which no sentence was seen": accuracy(sentences(DATA["left_out"], 1000, chance)),
    }
    what = "It says whether a short review in English is `POSITIVE` or `NEGATIVE`."
    cannot = (
        f"It knows about {len(GOOD['adj']) + len(BAD['adj'])} words of praise and blame, and simple negation; irony, "
        "comparisons, neutral texts and other words it guesses at, with a confidence that means nothing."
    )
    text = card("text-classification", what, metrics, cannot, chosen.steps, "text_classification.py")
    save(chosen.out, model, tokenizer, text)


if __name__ == "__main__":
    main()
