"""The small model for token-classification: persons, places and organisations in a sentence."""

from __future__ import annotations

import random
import re
from typing import Any

from common import arguments, capital, card, held_out, made_up, padded, save, shuffled, small, train, wordpiece, words

from headway import BertForTokenClassification, pipeline

DATA = words("token_classification")
LABELS = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]
Entity = tuple[str, int, int]


def name(kind: str, chance: random.Random, new: bool) -> tuple[str, str]:
    """A name and its entity; about half is made up, or all that can be with ``new``."""
    fresh = new or chance.random() < 0.5
    first, last, place = (
        made_up(chance, 2) if fresh else chance.choice(DATA[kind]) for kind in ("first", "last", "place")
    )
    match kind:
        case "per":
            return (first if chance.random() < 0.5 else f"{first} {last}"), "PER"
        case "last":
            return last, "PER"
        case "loc":
            return place, "LOC"
        case "org":
            firm = f"{last} {chance.choice(DATA['kind'])}"
            if fresh:
                return (firm if chance.random() < 0.6 else last), "ORG"
            shapes = (f"University of {place}", f"Bank of {place}", f"{place} Airlines", firm)
            return chance.choice(shapes if chance.random() < 0.3 else DATA["organisation"]), "ORG"
        case "job":
            return chance.choice(DATA["job"]), ""
    return str(chance.randrange(1900, 2030)), ""


def template(chance: random.Random) -> str:
    """A sentence with slots for names, put together of parts."""
    if chance.random() < 0.2:
        return chance.choice(DATA["whole"]) + chance.choice(["", ".", "!"])
    kind = chance.choice(("per", "per", "org", "loc"))
    parts = (DATA["starts"], DATA["subjects"][kind], [" "], DATA["verbs"][kind], [" "], DATA["ends"])
    text = "".join(map(chance.choice, parts))
    if chance.random() < 0.3:
        # Other words teach that what is in lower case is no name, known or not.
        text = " ".join(
            made_up(chance, 2).lower() if word.islower() and "{" not in word and chance.random() < 0.2 else word
            for word in text.split()
        )
    return text.strip() + chance.choice([".", ".", "", "!"])


def new_template(chance: random.Random) -> str:
    """The same of parts that are not in any training sentence."""
    kind = chance.choice(("per", "per", "org", "loc"))
    parts = (DATA["subjects"][kind][:3], DATA["new_verbs"][kind], DATA["new_ends"])
    return " ".join(map(chance.choice, parts)).strip() + "."


def sentence(template: str, chance: random.Random, new: bool = False) -> tuple[str, list[Entity]]:
    """A sentence and its entities as (kind, start, end); the article before a name is not a part of it."""
    text, entities = "", []
    for part in re.split(r"({[\w.]+})", template):
        if not part.startswith("{"):
            text += part
            continue
        filled, kind = name(part[1:-1].split(".")[0], chance, new)
        if not text:
            filled = capital(filled)
        start = len(text) + (4 if filled.lower().startswith("the ") else 0)
        text += filled
        if kind:
            entities.append((kind, start, len(text)))
    return capital(text), entities


def text(chance: random.Random) -> tuple[str, list[Entity]]:
    """One to three sentences and their entities."""
    whole, entities = sentence(template(chance), chance)
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        more, others = sentence(template(chance), chance)
        start = len(whole) + 1
        whole += f" {more}"
        entities += [(kind, first + start, last + start) for kind, first, last in others]
    return whole, entities


def label_ids(encoding: Any, entities: list[Entity]) -> list[int]:
    """A label for each token: every one within a name has one."""
    labels = []
    for sequence, (start, end) in zip(encoding.sequence_ids, encoding.offsets, strict=True):
        label = "O"
        for kind, first, last in entities:
            if first <= start and end <= last:
                label = f"B-{kind}" if start == first else f"I-{kind}"
        labels.append(-100 if sequence is None else LABELS.index(label))
    return labels


def main() -> None:
    chosen = arguments("token-classification", 3000, __doc__)
    chance = random.Random(chosen.seed)
    every = [text(chance) for _ in range(30000)]
    examples = [one for one in every if not held_out(one[0])]
    tokenizer = wordpiece([text for text, _ in examples], 1200, 128, lowercase=False)
    config = small(tokenizer, id2label=dict(enumerate(LABELS)))
    model = BertForTokenClassification(config)

    def batches():  # type: ignore[no-untyped-def]
        for batch in shuffled(examples, 64, chance):
            inputs = tokenizer([text for text, _ in batch], padding=True, return_tensors="pt")
            plain = tokenizer([text for text, _ in batch]).encodings
            labels = [label_ids(row, entities) for row, (_, entities) in zip(plain, batch, strict=True)]
            yield {**inputs, "labels": padded(labels, -100)}

    train(model, batches(), chosen.steps)
    find = pipeline("token-classification", model, tokenizer=tokenizer, aggregation_strategy="average")

    def score(cases: list[tuple[str, list[Entity]]]) -> float:
        """F1 of whole entities: kind, start and end."""
        answers = find([text for text, _ in cases])
        found = [{(a["entity_group"], a["start"], a["end"]) for a in answer} for answer in answers]
        right = sum(len(have & set(want)) for have, (_, want) in zip(found, cases, strict=True))
        return 2 * right / (sum(map(len, found)) + sum(len(want) for _, want in cases))

    metrics = {
        "entity F1, new combinations of words": score([one for one in every if held_out(one[0])]),
        "entity F1, with verbs and ends that no training sentence has": score(
            [sentence(new_template(chance), chance) for _ in range(1000)]
        ),
        "entity F1, the same with made-up names alone": score(
            [sentence(new_template(chance), chance, new=True) for _ in range(1000)]
        ),
    }
    what = "It finds persons (`PER`), places (`LOC`) and organisations (`ORG`) in an English sentence."
    cannot = (
        "It goes by capitals, some four hundred names and a hundred ways to use them; in longer or other sentences "
        "it misses names and takes other words for them."
    )
    page = card("token-classification", what, metrics, cannot, chosen.steps, "token_classification.py")
    save(chosen.out, model, tokenizer, page)


if __name__ == "__main__":
    main()
