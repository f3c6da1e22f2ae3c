"""The small model for feature-extraction: mean-pooled states that are near for sentences of like meaning."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from common import arguments, capital, card, held_out, save, small, train, wordpiece, words
from torch.nn import functional as F

from headway import BertModel, pipeline

DATA = words("feature_extraction")
EVENTS = len(DATA["events"])
Meaning = tuple[int, int, int]


def meaning(chance: random.Random) -> Meaning:
    """What a sentence says: what happened, who did it (0 where nobody does), and when or where."""
    what = chance.randrange(EVENTS + len(DATA["facts"]))
    who = chance.randrange(len(DATA["who"])) if what < EVENTS else 0
    return what, who, chance.randrange(len(DATA["when"]))


def wording(said: Meaning, chance: random.Random, last: bool | None) -> str:
    """A sentence that says it; the ``last`` wording of what happens, any but that, or (None) any."""
    what, who, when = said
    choices = (DATA["events"] + DATA["facts"])[what]
    template = choices[-1] if last else chance.choice(choices if last is None else choices[:-1])
    text = template.replace("{s}", chance.choice(DATA["who"][who]))
    place = chance.choice(DATA["when"][when])
    if place:
        text = f"{place}, {text}" if chance.random() < 0.3 else f"{text} {place}"
    text = text.replace(" was ", " is ") if chance.random() < 0.3 else text
    return capital(text) + chance.choice((".", ".", "", "!"))


def main() -> None:
    chosen = arguments("feature-extraction", 1500, __doc__)
    chance = random.Random(chosen.seed)

    def drawn(count: int, kept: bool) -> list[Meaning]:
        found: dict[Meaning, None] = {}
        while len(found) < count:
            said = meaning(chance)
            if held_out(str(said)) == kept:
                found[said] = None
        return list(found)

    tokenizer = wordpiece([wording(said, chance, None) for said in drawn(2500, False)], 900, 64)
    model = BertModel(small(tokenizer), add_pooling_layer=False)

    def vectors(inputs: Any) -> torch.Tensor:
        states = model(**inputs).last_hidden_state
        mean = states.sum(1) / inputs["attention_mask"].sum(1, keepdim=True)
        return F.normalize(mean, dim=-1)

    def batches():  # type: ignore[no-untyped-def]
        while True:
            # No two of a batch say the same; some differ in one thing alone, who did it or when.
            said = drawn(40, False)
            near = [(a, b if other < EVENTS else 0, c) for (a, _, c), (other, b, _) in pairwise(said) if a < EVENTS]
            near += [(a, b, c) for (a, b, _), (_, _, c) in pairwise(said)]
            said += [one for one in chance.sample(near, min(len(near), 16)) if not held_out(str(one))]
            said = list(dict.fromkeys(said))
            # Each in one wording, then each in another.
            texts = [wording(one, chance, None) for one in said + said]
            yield dict(tokenizer(texts, padding=True, return_tensors="pt"))

    def loss(_: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Each wording should be nearest to the other wording of the same, in both directions."""
        first, second = vectors(batch).chunk(2)
        scores = first @ second.T / 0.05
        target = torch.arange(len(scores))
        return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2

    train(model, batches(), chosen.steps, loss_of=loss)
    embed = pipeline("feature-extraction", model, tokenizer=tokenizer, pooling="mean")

    def found(said: list[Meaning]) -> float:
        """How often the other wording is the nearest of all."""
        sides = [np.array(embed([wording(one, chance, last) for one in said])) for last in (False, True)]
        first, second = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides)
        return float(((first @ second.T).argmax(1) == np.arange(len(said))).mean())

    metrics = {"nearest of 200 is the other wording, new combinations of who, what and when": found(drawn(200, True))}
    what = (
        "It turns a short English sentence into a vector of 64 numbers, the mean of its tokens' states "
        '(`pooling="mean"`): sentences of like meaning have a high cosine.'
    )
    cannot = (
        f"It knows {EVENTS + len(DATA['facts'])} things that can happen, in a few wordings each; of other sentences "
        "it compares the words it happens to know."
    )
    text = card("feature-extraction", what, metrics, cannot, chosen.steps, "feature_extraction.py")
    save(chosen.out, model, tokenizer, text)


if __name__ == "__main__":
    main()
