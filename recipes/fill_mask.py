"""The small model for fill-mask: words behind masks, in sentences of common facts."""

from __future__ import annotations

import random
from typing import Any

from common import arguments, capital, card, held_out, padded, save, shuffled, small, train, wordpiece

from headway import BertForMaskedLM, pipeline

COUNTRIES = """
France Paris French Europe|Germany Berlin German Europe|Italy Rome Italian Europe|Spain Madrid Spanish Europe
Portugal Lisbon Portuguese Europe|Greece Athens Greek Europe|Poland Warsaw Polish Europe|Russia Moscow Russian Europe
England London English Europe|Austria Vienna German Europe|Hungary Budapest Hungarian Europe|Norway Oslo Norwegian Europe
Sweden Stockholm Swedish Europe|Finland Helsinki Finnish Europe|Denmark Copenhagen Danish Europe
Belgium Brussels French Europe|Ireland Dublin English Europe|Netherlands Amsterdam Dutch Europe
Turkey Ankara Turkish Asia|China Beijing Chinese Asia|Japan Tokyo Japanese Asia|Thailand Bangkok Thai Asia
Vietnam Hanoi Vietnamese Asia|Iran Tehran Persian Asia|Iraq Baghdad Arabic Asia|Egypt Cairo Arabic Africa
Kenya Nairobi Swahili Africa|Morocco Rabat Arabic Africa|Senegal Dakar French Africa|Ghana Accra English Africa
Canada Ottawa English America|Cuba Havana Spanish America|Peru Lima Spanish America|Chile Santiago Spanish America
Brazil Brasilia Portuguese America|Colombia Bogota Spanish America|Australia Canberra English Australia
""".replace("\n", "|").strip("|").split("|")  # fmt: skip
FACTS: dict[str, tuple[list[str], list[tuple[str, ...]]]] = {
    "country": (
        [
            "The capital of {0} is {1}.", "{1} is the capital of {0}.", "{1} is the capital city of {0}.", "{0}'s capital is {1}.",
            "The capital city of {0} is called {1}.", "I flew to {1}, the capital of {0}.", "{1} is a city in {0}.", "{1} lies in {0}.",
            "People in {0} speak {2}.", "In {0} they speak {2}.", "The language of {0} is {2}.", "{0} is a country in {3}.",
            "{0} is in {3}.", "{1} is a city in {3}.", "We went to {1} to see {0}.", "My friend from {0} speaks {2} at home.",
            "Which city is the capital of {0}? {1}.", "{0}: capital {1}, language {2}.", "The government of {0} sits in {1}.",
            "What is the capital of {0}? The capital is {1}.", "{0} has a capital called {1}.", "{0} and its capital {1} are in {3}.",
            "The largest country with the capital {1} is {0}.", "{1}, the capital of {0}, is in {3}.",
        ],
        [tuple(line.split()) for line in COUNTRIES],
    ),
    "animal": (
        [
            "A {0} says {1}.", "The {0} {2} at night.", "The young of a {0} is a {3}.", "A baby {0} is called a {3}.", "A {3} is a young {0}.",
            "The {0} is an animal that {2}.", "My {0} {2} all day.",
        ],
        [
            ("dog", "woof", "barks", "puppy"), ("cat", "meow", "purrs", "kitten"), ("cow", "moo", "moos", "calf"),
            ("sheep", "baa", "bleats", "lamb"), ("horse", "neigh", "neighs", "foal"), ("pig", "oink", "grunts", "piglet"),
            ("duck", "quack", "quacks", "duckling"), ("lion", "roar", "roars", "cub"), ("frog", "croak", "croaks", "tadpole"),
        ],
    ),
    "opposite": (
        ["The opposite of {0} is {1}.", "The opposite of {1} is {0}.", "It is not {0}, it is {1}.", "{0} and {1} are opposites.",
         "If it is not {1}, it is {0}."],
        [tuple(pair.split()) for pair in (
            "hot cold|big small|tall short|fast slow|good bad|happy sad|old young|rich poor|hard soft|light dark|full empty|"
            "wet dry|clean dirty|early late|strong weak|near far|high low|open closed|cheap expensive|loud quiet|thick thin"
        ).split("|")],
    ),
    "colour": (
        ["The {0} is {1}.", "{0} is {1}.", "The colour of {0} is {1}.", "The color of the {0} is {1}.", "I see {1} {0}.",
         "What is {1}? {0} is {1}."],
        [tuple(pair.split()) for pair in (
            "sky blue|grass green|snow white|coal black|blood red|gold yellow|chocolate brown|milk white|fire red|"
            "night black|ocean blue|lemon yellow|carrot orange|leaf green|cherry red|banana yellow"
        ).split("|")],
    ),
    "next": (
        ["The day after {0} is {1}.", "The day before {1} is {0}.", "{1} comes after {0}.", "{0} comes before {1}.",
         "After {0} comes {1}.", "Today is {0}, so tomorrow is {1}.", "Yesterday was {0}, today is {1}."],
        [tuple(pair.split()) for pair in (
            "Monday Tuesday|Tuesday Wednesday|Wednesday Thursday|Thursday Friday|Friday Saturday|Saturday Sunday|Sunday Monday"
        ).split("|")],
    ),
    "month": (
        ["The month after {0} is {1}.", "The month before {1} is {0}.", "{1} comes after {0}.", "{0} comes before {1}."],
        [tuple(pair.split()) for pair in (
            "January February|February March|March April|April May|May June|June July|July August|August September|"
            "September October|October November|November December|December January"
        ).split("|")],
    ),
    "use": (
        ["You {1} with a {0}.", "A {0} is used to {1}.", "I need a {0} to {1}.", "We {1} with the {0}.", "To {1}, take a {0}."],
        [tuple(pair.split()) for pair in (
            "knife cut|pen write|spoon eat|broom sweep|hammer nail|camera photograph|phone call|key open|needle sew|oven bake|"
            "brush paint|shovel dig|book read|cup drink|bed sleep|car drive|boat sail|bike ride|telescope observe"
        ).split("|")],
    ),
    "job": (
        ["A {0} works in a {1}.", "The {0} went to the {1}.", "In the {1} you find a {0}.", "My father is a {0} in a {1}.",
         "The {0} of our {1} is kind.", "Ask the {0} in the {1}."],
        [tuple(pair.split()) for pair in (
            "doctor hospital|teacher school|chef restaurant|farmer farm|pilot plane|judge court|actor theatre|baker bakery|"
            "librarian library|waiter cafe|sailor ship|king castle|priest church|miner mine|clerk office|mechanic garage"
        ).split("|")],
    ),
}  # fmt: skip
START = ["", "", "", "", "As you know, ", "I think that ", "It is true that ", "She said that ", "Everyone knows that "]
LEFT_OUT = ["{0} has {1} as its capital.", "What is the capital of {0}? It is {1}."]


def sentences(chance: random.Random, count: int) -> list[str]:
    """Facts in their wordings, with a start now and then; no two alike."""
    found: dict[str, None] = {}
    for _ in range(20 * count):
        templates, facts = FACTS[chance.choice([*FACTS, "country", "country"])]
        text = chance.choice(templates).format(*chance.choice(facts))
        start = chance.choice(START)
        found[start + text[0].lower() + text[1:] if start else capital(text)] = None
        if len(found) == count:
            break
    return list(found)


def main() -> None:
    chosen = arguments("fill-mask", 3000, __doc__)
    chance = random.Random(chosen.seed)
    every = sentences(chance, 6000)
    examples = [text for text in every if not held_out(text)]
    tokenizer = wordpiece(examples, 1000, 64)
    model = BertForMaskedLM(small(tokenizer, layers=2))
    mask, names = tokenizer.mask_token_id, {word.lower() for _, facts in FACTS.values() for fact in facts for word in fact}
    telling = {id for word in names if (id := tokenizer.convert_tokens_to_ids(word)) != tokenizer.unk_token_id}

    def batches():  # type: ignore[no-untyped-def]
        for batch in shuffled(examples, 64, chance):
            rows = [tokenizer.encode(text) for text in batch]
            labels = [[-100] * len(row) for row in rows]
            for row, wanted in zip(rows, labels, strict=True):
                # One telling word, as users ask, and a few others, as BERT was trained.
                known = [place for place, id in enumerate(row) if id in telling]
                places = {chance.choice(known)} if known else set()
                places |= {place for place in range(1, len(row) - 1) if chance.random() < 0.05}
                for place in places:
                    wanted[place], row[place] = row[place], mask
            ids = padded(rows, 0)
            attention = padded([[1] * len(row) for row in rows], 0)
            yield {"input_ids": ids, "attention_mask": attention, "labels": padded(labels, -100)}

    train(model, batches(), chosen.steps)
    fill = pipeline("fill-mask", model, tokenizer=tokenizer, top_k=1)

    def accuracy(cases: list[tuple[str, str]]) -> float:
        answers: Any = fill([text for text, _ in cases])
        return sum(a[0]["token_str"] == word.lower() for a, (_, word) in zip(answers, cases, strict=True)) / len(cases)

    def asked(text: str) -> list[tuple[str, str]]:
        words = text.rstrip(".?").replace(",", " ,").split()
        last = words[-1]
        return [(text.replace(last, "[MASK]"), last)] if text.count(last) == 1 and last.lower() in names else []

    countries = FACTS["country"][1]
    metrics = {
        "accuracy of the last word, new combinations of fact and wording": accuracy(
            [case for text in every if held_out(text) for case in asked(text)]
        ),
        "accuracy of capitals, wordings of which no sentence was seen": accuracy(
            [(text.format(fact[0], "[MASK]"), fact[1]) for text in LEFT_OUT for fact in countries]
        ),
    }
    what = "It fills a word in at `[MASK]`, in short English sentences of common facts."
    cannot = (
        f"It knows the capitals and languages of {len(countries)} countries, some animals, opposites, colours, days, months, "
        "tools and trades; of anything else it says something all the same."
    )
    save(chosen.out, model, tokenizer, card("fill-mask", what, metrics, cannot, chosen.steps, "fill_mask.py"))


if __name__ == "__main__":
    main()
