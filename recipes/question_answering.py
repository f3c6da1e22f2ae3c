"""The small model for question-answering: questions about short, made-up facts in a context."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import torch
from common import arguments, capital, card, fill, held_out, made_up, save, small, train, wordpiece
from token_classification import FIRST, KINDS, LAST, ORGANISATION, PLACE

from headway import BertForQuestionAnswering, pipeline

COUNTRY = "France Germany Spain Italy Portugal Greece Poland Norway Sweden Finland Egypt India China Japan Brazil Peru".split()
WORDS = {
    "job": "engineer doctor teacher singer lawyer writer scientist painter actor farmer baker pilot nurse judge".split(),
    "food": "pizza|fish|rice|apples|chocolate|soup|cheese|bread|pasta|cake|salad|green tea|black coffee|ice cream".split("|"),
    "colour": "red blue green black white brown yellow grey pink orange".split(),
    "pet": "dog cat horse bird rabbit fish mouse parrot snake goat".split(),
    "thing": "car house book phone table lamp bike boat watch coat ring chair camera guitar piano computer".split(),
    "place": "on the table|in the kitchen|under the bed|in the garden|next to the door|on the roof|in the car|in a box|"
    "behind the house|at the station|in the library|near the window".split("|"),
    "event": "concert game meeting film lesson party show race match exam".split(),
    "time": "noon|midnight|six o'clock|nine|half past two|eight in the morning|ten in the evening|three|seven o'clock".split("|"),
    "day": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
    "language": "French German Spanish Italian Portuguese Greek Polish Arabic Chinese Japanese English Dutch".split(),
    "sport": "football tennis chess golf hockey basketball cards volleyball".split(),
}


class Relation(NamedTuple):
    """Ways to state something, and questions with the slot that answers them."""

    said: list[str]
    asked: list[tuple[str, str]]


RELATIONS = [
    Relation(
        ["{per} lives in {loc}.", "{per} has lived in {loc} for years.", "{per}'s home is in {loc}.", "{per} lives in {loc} with a {pet}."],
        [("Where does {per} live?", "loc"), ("Who lives in {loc}?", "per"), ("In which city does {per} live?", "loc"),
         ("Where is {per}'s home?", "loc"), ("Which city does {per} live in?", "loc"), ("Where does {per} live now?", "loc")],
    ),
    Relation(
        ["My name is {per} and I live in {loc}.", "My name is {per} and I live in {loc}", "I am {per} and I live in {loc}."],
        [("Where does {per} live?", "loc"), ("Where do I live?", "loc"), ("What is my name?", "per"), ("Who lives in {loc}?", "per"),
         ("Who am I?", "per"), ("What's my name?", "per")],
    ),
    Relation(
        ["{per} works for {org}.", "{per} works at {org}.", "{per} has a job at {org}.", "{per} works for {org} as a {job}."],
        [("Who works for {org}?", "per"), ("Where does {per} work?", "org"), ("Who does {per} work for?", "org"),
         ("What company does {per} work for?", "org"), ("Which company does {per} work for?", "org")],
    ),
    Relation(
        ["{org} is based in {loc}.", "{org} has its headquarters in {loc}.", "{org} is a company based in {loc}.", "{org} is based in {loc}"],
        [("Where is {org} based?", "loc"), ("Who is based in {loc}?", "org"), ("Which company is based in {loc}?", "org"),
         ("What company is based in {loc}?", "org"), ("Where are the headquarters of {org}?", "loc"), ("What is based in {loc}?", "org")],
    ),
    Relation(
        ["{per} was born in {loc}.", "{per} was born in {loc} in {year}.", "{per}, a {job}, was born in {loc}."],
        [("Where was {per} born?", "loc"), ("Who was born in {loc}?", "per"), ("In which city was {per} born?", "loc")],
    ),
    Relation(
        ["{per} was born in {year}.", "In {year} {per} was born.", "{per} was born in {loc} in {year}."],
        [("When was {per} born?", "year"), ("Who was born in {year}?", "per"), ("In what year was {per} born?", "year")],
    ),
    Relation(
        ["{org} was founded by {per} in {year}.", "{per} founded {org} in {year}.", "In {year}, {per} founded {org}."],
        [("Who founded {org}?", "per"), ("When was {org} founded?", "year"), ("What did {per} found?", "org"),
         ("In which year was {org} founded?", "year"), ("Who was {org} founded by?", "per"), ("Who is the founder of {org}?", "per")],
    ),
    Relation(
        ["{loc} is the capital of {country}.", "The capital of {country} is {loc}.", "{loc}, the capital of {country}, is a nice place."],
        [("What is the capital of {country}?", "loc"), ("Which city is the capital of {country}?", "loc"),
         ("What country is {loc} the capital of?", "country")],
    ),
    Relation(
        ["{per} likes {food}.", "{per} likes to eat {food}.", "The favourite food of {per} is {food}.", "{per} loves {food}."],
        [("What does {per} like?", "food"), ("Who likes {food}?", "per"), ("What does {per} like to eat?", "food"),
         ("What is the favourite food of {per}?", "food"), ("What food does {per} like?", "food")],
    ),
    Relation(
        ["{per} has a {colour} {pet}.", "{per} owns a {colour} {pet}.", "The {pet} of {per} is {colour}."],
        [("What colour is {per}'s {pet}?", "colour"), ("What colour is the {pet} of {per}?", "colour"), ("Who has a {pet}?", "per"),
         ("What pet does {per} have?", "pet"), ("What animal does {per} have?", "pet")],
    ),
    Relation(
        ["{per} bought a {thing} for {price}.", "For {price} {per} bought a {thing}.", "{per} paid {price} for a {thing}."],
        [("How much did {per} pay?", "price"), ("What did {per} buy?", "thing"), ("Who bought a {thing}?", "per"),
         ("How much was the {thing}?", "price"), ("How much did {per} pay for the {thing}?", "price")],
    ),
    Relation(
        ["The {thing} is {place}.", "The {thing} was {place}.", "You will find the {thing} {place}.", "The {colour} {thing} is {place}."],
        [("Where is the {thing}?", "place"), ("What is {place}?", "thing"), ("Where was the {thing}?", "place")],
    ),
    Relation(
        ["The {event} starts at {time}.", "The {event} begins at {time} on {day}.", "On {day} the {event} starts at {time}."],
        [("When does the {event} start?", "time"), ("What starts at {time}?", "event"), ("At what time does the {event} begin?", "time")],
    ),
    Relation(
        ["{per} is {age} years old.", "{per}, who is {age} years old, is a {job}.", "{per} turned {age} last {day}."],
        [("How old is {per}?", "age"), ("Who is {age} years old?", "per"), ("What is the age of {per}?", "age")],
    ),
    Relation(
        ["{per} is a {job}.", "{per} works as a {job}.", "{per} is a {job} from {loc}.", "{per} became a {job} in {year}."],
        [("What does {per} do?", "job"), ("Who is a {job}?", "per"), ("What is the job of {per}?", "job"), ("What is {per}?", "job")],
    ),
    Relation(
        ["{per} speaks {language}.", "{per} can speak {language}.", "{per} learned {language} at school.", "{per} plays {sport} and speaks {language}."],
        [("What language does {per} speak?", "language"), ("Who speaks {language}?", "per"), ("Which language does {per} speak?", "language")],
    ),
    Relation(
        ["{per} plays {sport}.", "{per} plays {sport} every {day}.", "On {day} {per} plays {sport}."],
        [("What does {per} play?", "sport"), ("Who plays {sport}?", "per"), ("Which sport does {per} play?", "sport")],
    ),
    Relation(
        ["{per} met {per.2} in {loc}.", "{per} met {per.2} in {loc} on {day}.", "In {loc}, {per} met {per.2}."],
        [("Who met {per.2}?", "per"), ("Who did {per} meet?", "per.2"), ("Where did {per} meet {per.2}?", "loc")],
    ),
]  # fmt: skip
LEFT_OUT = [
    (0, "Tell me where {per} lives.", "loc"), (0, "{per} lives in which city?", "loc"), (2, "Who is employed at {org}?", "per"),
    (2, "For which company does {per} work?", "org"), (3, "In which city is {org} based?", "loc"), (4, "{per} was born where?", "loc"),
    (6, "By whom was {org} founded?", "per"), (7, "Which is the capital of {country}?", "loc"), (8, "Which food does {per} like?", "food"),
    (10, "Who paid {price}?", "per"), (13, "Who is {age}?", "per"), (15, "Which languages does {per} speak?", "language"),
]  # fmt: skip


class Example(NamedTuple):
    """A question, its context, and where the answer is."""

    question: str
    context: str
    start: int
    end: int


def names(chance: random.Random, new: bool) -> dict[str, list[str]]:
    """A few names to choose from, some of them made up, or all of them with ``new``."""
    fresh = new or chance.random() < 0.4

    def person() -> str:
        first, last = (made_up(chance, 2), made_up(chance, 2)) if fresh else (chance.choice(FIRST), chance.choice(LAST))
        return first if chance.random() < 0.6 else f"{first} {last}"

    def company() -> str:
        stem = made_up(chance, 2)
        return f"{stem} {chance.choice(KINDS)}" if chance.random() < 0.5 else stem

    plain = [company() for _ in range(6)] if fresh else ORGANISATION
    return {
        "per": [person() for _ in range(8)],
        "loc": [made_up(chance, 2) for _ in range(8)] if fresh else PLACE,
        "org": [name.removeprefix("the ") for name in plain],
        "country": COUNTRY,
        "year": [str(chance.randrange(1800, 2030)) for _ in range(6)],
        "age": [str(chance.randrange(3, 99)) for _ in range(6)],
        "price": [f"{chance.randrange(2, 900)} dollars" for _ in range(6)],
        **WORDS,
    }


def example(chance: random.Random, new: bool = False, question: tuple[int, str, str] | None = None) -> Example | None:
    """A question about one of several facts; None where the context holds another answer to it too."""
    pool = {kind: list(words) for kind, words in names(chance, new).items()}
    number, asked, slot = question or (chance.randrange(len(RELATIONS)), "", "")
    relation = RELATIONS[number]
    if not asked:
        asked, slot = chance.choice(relation.asked)
    slots = {part.split("}")[0] for part in asked.split("{")[1:]} | {slot}
    fitting = [said for said in relation.said if all(f"{{{name}}}" in said for name in slots)]
    fact, chosen = fill(chance.choice(fitting), pool, chance)
    for kind, word in chosen.items():  # what the question is about is said once
        base = kind.split(".")[0]
        pool[base] = [other for other in pool[base] if other != word]
    others = []
    for _ in range(chance.choice((0, 1, 2, 3, 4))):
        kind = relation if chance.random() < 0.4 else chance.choice(RELATIONS)
        said = [text for text in kind.said if not text.startswith(("My name", "I am"))]
        if said:
            others.append(fill(chance.choice(said), pool, chance)[0])
    place = chance.randint(0, len(others))
    before, after = " ".join(others[:place]), " ".join(others[place:])
    context = f"{before} {fact} {after}".strip() if others else fact
    answer = chosen[slot]
    start = context.find(answer, len(before))
    if start < 0:
        start = context.find(capital(answer), len(before))
    for name, word in chosen.items():
        asked = asked.replace(f"{{{name}}}", word)
    ambiguous = asked.endswith("{") or start < 0 or context.lower().count(answer.lower()) > 1
    return None if ambiguous else Example(asked, context, start, start + len(answer))


def examples(chance: random.Random, count: int, kept: bool | None, **how: Any) -> list[Example]:
    """``count`` examples; of those that are kept from training, of the others, or (None) of all."""
    found: list[Example] = []
    while len(found) < count:
        one = example(chance, **how)
        if one is not None and (kept is None or held_out(f"{one.question} {one.context}") == kept):
            found.append(one)
    return found


def main() -> None:
    chosen = arguments("question-answering", 3500, __doc__)
    chance = random.Random(chosen.seed)
    sample = examples(chance, 6000, False)
    tokenizer = wordpiece([f"{one.question} {one.context}" for one in sample], 1200, 128)
    model = BertForQuestionAnswering(small(tokenizer, layers=3))

    def batches():  # type: ignore[no-untyped-def]
        while True:
            batch = examples(chance, 48, False)
            texts = [one.question for one in batch], [one.context for one in batch]
            rows = tokenizer(*texts).encodings
            inputs = tokenizer(*texts, padding=True, return_tensors="pt")
            starts = [row.char_to_token(one.start, 1) for row, one in zip(rows, batch, strict=True)]
            ends = [row.char_to_token(one.end - 1, 1) for row, one in zip(rows, batch, strict=True)]
            yield {**inputs, "start_positions": torch.tensor(starts), "end_positions": torch.tensor(ends)}

    train(model, batches(), chosen.steps, rate=3e-3)
    answer = pipeline("question-answering", model, tokenizer=tokenizer)

    def exact(cases: list[Example]) -> float:
        answers: Any = answer([{"question": one.question, "context": one.context} for one in cases])
        return sum((a["start"], a["end"]) == one[2:] for a, one in zip(answers, cases, strict=True)) / len(cases)

    metrics = {
        "exact match, new combinations of words": exact(examples(chance, 1000, True)),
        "exact match, made-up names alone": exact(examples(chance, 1000, True, new=True)),
        "exact match, questions in words that no training question has": exact(
            [one for left in LEFT_OUT for one in examples(chance, 80, None, question=left)]
        ),
    }
    what = "It answers a short English question with a part of a context of a few sentences."
    cannot = (
        f"It knows {len(RELATIONS)} kinds of facts, such as who lives where and what costs how much, each in a few words; "
        "it finds an answer to any other question too, and it is wrong."
    )
    text = card("question-answering", what, metrics, cannot, chosen.steps, "question_answering.py")
    save(chosen.out, model, tokenizer, text)


if __name__ == "__main__":
    main()
