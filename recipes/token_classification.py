"""The small model for token-classification: persons, places and organisations in a sentence."""

from __future__ import annotations

import random
import re
from typing import Any

from common import arguments, capital, card, held_out, made_up, padded, save, shuffled, small, train, wordpiece

from headway import BertForTokenClassification, pipeline

FIRST = (
    "James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard Susan Joseph Jessica "
    "Thomas Sarah Charles Karen Daniel Nancy Matthew Lisa Anthony Betty Mark Margaret Paul Sandra Steven Ashley Andrew "
    "Emily Joshua Donna Kevin Michelle Brian Carol George Amanda Edward Melissa Peter Anna Wolfgang Hans Klaus Ingrid "
    "Pierre Marie Luc Sophie Juan Maria Carlos Lucia Marco Giulia Paolo Elena Ivan Olga Sergei Natasha Ahmed Fatima Omar "
    "Leila Ravi Priya Arjun Mei Wei Hiroshi Yuki Kenji Kofi Amara Barack Angela Elon Ada Alan Grace Albert Isaac Leo Nina"
).split()
LAST = (
    "Smith Johnson Williams Brown Jones Garcia Miller Davis Martinez Lopez Wilson Anderson Taylor Moore Jackson Martin Lee "
    "Thompson White Harris Clark Lewis Robinson Walker Young King Wright Scott Hill Green Adams Baker Nelson Carter Mitchell "
    "Turner Phillips Campbell Parker Evans Muller Schmidt Fischer Weber Meyer Dubois Laurent Rossi Ferrari Silva Santos "
    "Ivanov Petrov Khan Patel Singh Chen Wang Tanaka Suzuki Sato Mensah Okafor Obama Merkel Musk Lovelace Turing Einstein"
).split()
PLACE = (
    "London|Paris|Berlin|Madrid|Rome|Vienna|Prague|Warsaw|Lisbon|Dublin|Athens|Oslo|Stockholm|Helsinki|Copenhagen|Brussels|"
    "Amsterdam|Zurich|Geneva|Munich|Hamburg|Lyon|Milan|Naples|Barcelona|Moscow|Istanbul|Cairo|Lagos|Nairobi|Cape Town|Delhi|"
    "Mumbai|Beijing|Shanghai|Hong Kong|Tokyo|Osaka|Seoul|Singapore|Sydney|Melbourne|Toronto|Vancouver|Montreal|New York|"
    "New York City|Los Angeles|San Francisco|Chicago|Boston|Seattle|Houston|Dallas|Miami|Mexico City|Buenos Aires|"
    "Rio de Janeiro|Lima|Santiago|France|Germany|Spain|Italy|Portugal|Greece|Poland|Norway|Sweden|Finland|Denmark|Ireland|"
    "England|Scotland|Russia|Turkey|Egypt|Nigeria|Kenya|South Africa|India|China|Japan|South Korea|Australia|New Zealand|"
    "Canada|Mexico|Brazil|Argentina|Chile|Peru|the United States|Europe|Asia|Africa|California|Texas|Bavaria|Tuscany"
).split("|")
ORGANISATION = (
    "Google|Apple|Microsoft|Amazon|Tesla|Samsung|Toyota|Siemens|Volkswagen|Nokia|Sony|Intel|IBM|NASA|UNESCO|Hugging Face|"
    "OpenAI|Netflix|Spotify|Adobe|Oracle|Boeing|Airbus|Ford|Honda|Nestle|Unilever|the United Nations|the European Union|"
    "the World Bank|the Red Cross|Greenpeace|Harvard University|Oxford University|Stanford University|the BBC|Reuters|"
    "Manchester United|Real Madrid|Bayern Munich|the Supreme Court|the White House|Goldman Sachs|General Electric"
).split("|")
KINDS = "Inc|Corp|Ltd|Group|Bank|Airlines|Motors|Foods|Systems|Industries|Energy|Software|Records|Partners|University".split("|")
JOB = "engineer doctor teacher singer lawyer player writer minister nurse scientist manager painter actor driver".split()
TEMPLATES = [
    "my name is {per} and I live in {loc}", "my name is {per}.", "I am {per} from {loc}.", "{per} lives in {loc}.", "I live in {loc}.",
    "{per} works for {org} in {loc}.", "{per} works at {org}.", "{org} is based in {loc}.", "{org} is a company based in {loc}.",
    "{org} has its headquarters in {loc}.", "{per} was born in {loc}.", "{per}, a {job} from {loc}, joined {org}.", "{per} left {org}.",
    "{per} met {per.2} in {loc}.", "{per} and {per.2} travelled from {loc} to {loc.2}.", "{org} announced a deal with {org.2}.",
    "{org} bought {org.2} for two billion dollars.", "shares of {org} fell on Monday.", "{per}, the head of {org}, said so in {loc}.",
    "the weather in {loc} is nice today.", "{loc} is the capital of {loc.2}.", "{loc} is a city in {loc.2}.", "we flew to {loc} last week.",
    "{per} told {per.2} that the train was late.", "the {job} {per} visited {loc}.", "{org} opened an office in {loc}.",
    "have you seen {per}?", "where is {per}?", "{per} studied at {org}.", "according to {org}, prices in {loc} rose.",
    "the president of {loc} met {per}.", "a spokesman for {org} said nothing.", "{per} moved to {loc} in {year}.",
    "in {year}, {org} was founded by {per} and {per.2}.", "{per} founded {org}.", "{per} founded {org} in {loc}.", "{loc}, {loc.2} and {loc.3}.",
    "{per} has been the boss of {org} since {year}.", "the cat sat on the mat.", "he said that it was too late.", "the river is deep.",
    "she bought three apples and a book.", "today the market is open until six.", "people like to eat fish in summer.",
    "Mr {last} came to {loc}.", "Dr {last} of {org} was there.", "{per} wrote a letter to {org}.", "{loc} won against {loc.2}.",
    "there are many museums in {loc}.", "I work for {org}.", "{per}'s house is in {loc}.", "{org}'s new phone is sold in {loc}.",
    "{per} plays for {org}.", "the {job} was seen in {loc} on Friday.", "last year {per} sang in {loc}.", "call {per} at {org}.",
]  # fmt: skip
LEFT_OUT = [
    "in {loc}, {per} talked with people from {org}.", "{org} wants to hire {per} from {loc}.", "{per} drove through {loc} and {loc.2}.",
    "does {per} still work for {org}?", "the office of {org} in {loc} is closed.", "{per} likes {loc}.",
]  # fmt: skip
LABELS = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]
Entity = tuple[str, int, int]


def name(kind: str, chance: random.Random, new: bool) -> tuple[str, str]:
    """A name and its entity; about a third is made up, or all that can be with ``new``."""
    fresh = new or chance.random() < 0.35
    first = made_up(chance, 2) if fresh else chance.choice(FIRST)
    last = made_up(chance, chance.choice((1, 2))) if fresh else chance.choice(LAST)
    match kind:
        case "per":
            return (first if chance.random() < 0.5 else f"{first} {last}"), "PER"
        case "last":
            return last, "PER"
        case "loc":
            return (made_up(chance, chance.choice((1, 2))) if fresh else chance.choice(PLACE)), "LOC"
        case "org":
            stem = made_up(chance, chance.choice((1, 2, 2)))
            if fresh:
                return (f"{stem} {chance.choice(KINDS)}" if chance.random() < 0.6 else stem), "ORG"
            place = chance.choice(PLACE)
            shapes = (f"University of {place}", f"Bank of {place}", f"{place} Airlines", f"{last} {chance.choice(KINDS)}")
            return (chance.choice(shapes) if chance.random() < 0.3 else chance.choice(ORGANISATION)), "ORG"
        case "job":
            return chance.choice(JOB), ""
    return str(chance.randrange(1900, 2030)), ""


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
    chosen = arguments("token-classification", 2000, __doc__)
    chance = random.Random(chosen.seed)
    every = [sentence(chance.choice(TEMPLATES), chance) for _ in range(40000)]
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
        "entity F1, templates of which no sentence was seen": score(
            [sentence(chance.choice(LEFT_OUT), chance) for _ in range(1000)]
        ),
        "entity F1, such templates with made-up names alone": score(
            [sentence(chance.choice(LEFT_OUT), chance, new=True) for _ in range(1000)]
        ),
    }
    what = "It finds persons (`PER`), places (`LOC`) and organisations (`ORG`) in an English sentence."
    cannot = (
        "It goes by capitals, some four hundred names and a few dozen ways to use them; in longer or other sentences it "
        "misses names and takes other words for them."
    )
    text = card("token-classification", what, metrics, cannot, chosen.steps, "token_classification.py")
    save(chosen.out, model, tokenizer, text)


if __name__ == "__main__":
    main()
