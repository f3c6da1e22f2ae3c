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
WHOLE = [
    "my name is {per} and I live in {loc}", "my name is {per}", "I am {per} from {loc}", "I live in {loc}", "I work for {org}",
    "{loc} is the capital of {loc.2}", "{loc} is a city in {loc.2}", "shares of {org} fell on Monday", "have you seen {per}?",
    "where is {per}?", "the weather in {loc} is nice today", "there are many museums in {loc}", "according to {org}, prices rose",
    "a spokesman for {org} said nothing", "{loc}, {loc.2} and {loc.3}", "the president of {loc} met {per}", "call {per} at {org}",
    "{per}'s house is in {loc}", "{org}'s new phone is sold in {loc}", "the cat sat on the mat", "the river is deep and cold",
    "she bought three apples and a book", "today the market is open until six", "people like to eat fish in summer", "how are you?",
    "the head of {org} is {per}", "what do you know about {loc}?", "is {org} in {loc}?", "{org} is a company based in {loc}",
    "we are going to {loc}", "{per}, {per.2} and {per.3} came", "the people of {loc} like {per}", "the book is about {per} and {loc}",
]  # fmt: skip
SUBJECTS = {
    "per": [
        "{per}", "{per}", "{per}", "{per} and {per.2}", "the {job} {per}", "Mr {last}", "Dr {last}", "{per} of {org}", "{per} from {loc}",
        "{per}, a {job},", "{per}, the head of {org},", "the {job} from {loc}", "my friend {per}", "his son {per}", "President {last}", "she",
    ],
    "org": ["{org}", "{org}", "{org}", "the company", "{org} and {org.2}", "the owner of {org}", "{org}, the company from {loc},"],
    "loc": ["{loc}", "{loc}", "the city of {loc}", "{loc} and {loc.2}", "the town", "the mayor of {loc}", "the north of {loc}"],
}  # fmt: skip
VERBS = {
    "per": [
        "lives in {loc}", "works for {org}", "works at {org}", "was born in {loc}", "joined {org}", "left {org}", "met {per.4}", "moved to {loc}",
        "travelled from {loc.4} to {loc.5}", "studied at {org.4}", "founded {org.4}", "visited {loc.4}", "told {per.4} that the train was late",
        "wrote a letter to {org.4}", "plays for {org.4}", "married {per.4}", "sang", "died", "bought a house", "will speak about {org.4}",
        "has been the boss of {org.4}", "was seen with {per.4}", "flew to {loc.4}", "called {per.4}", "sold {org.4}", "likes {loc.4}",
        "does not know {per.4}", "wants to see {loc.4}", "arrived", "won the race", "spoke with {org.4}", "is the new {job} of {org.4}",
    ],
    "org": [
        "is based in {loc}", "has its headquarters in {loc}", "announced a deal with {org.4}", "bought {org.4} for two billion dollars",
        "opened an office", "hired {per.4}", "was founded by {per.4}", "sued {org.4}", "makes cars", "plans to build a factory",
        "lost money", "sells phones", "is led by {per.4}", "fired {per.4}", "won against {org.4}", "will close its shop", "grew fast",
        "invited {per.4}", "said that sales were good", "belongs to {org.4}", "is the largest company",
    ],
    "loc": [
        "is a nice place", "won against {loc.4}", "has two million people", "is the capital of {loc.4}", "lies near {loc.4}", "was hit by a storm",
        "is far from {loc.4}", "voted for {per.4}", "is home to {org.4}", "elected {per.4}", "has a river", "borders {loc.4}",
    ],
}  # fmt: skip
ENDS = [
    "", "", "", "", "in {loc.6}", "in {loc.6}", "near {loc.6}", "from {loc.6}", "on Monday", "last week", "in {year}", "with {per.6}",
    "for {org.6}", "since {year}", "with help from {org.6}", "after a trip to {loc.6}", "because of {per.6}", "at the office of {org.6}",
    "as {per.6} said", "again", "in the north of {loc.6}", "between {loc.6} and {loc.7}", "on Friday in {loc.6}", "next to {loc.6}",
]  # fmt: skip
STARTS = [
    "", "", "", "", "", "", "", "yesterday ", "in {loc.8}, ", "in {year}, ", "according to {org.8}, ", "{per.8} said that ", "I think ",
    "on Tuesday ", "last year ", "after the game, ", "{per.8}: ", "at {org.8}, ", "near {loc.8}, ", "they say that ", "but ",
]  # fmt: skip
# Of each kind some that no training sentence has.
NEW = {
    "per": ["talked with people from {org.4}", "drove through {loc.4}", "still lives in {loc.4}", "helped {per.4}"],
    "org": ["wants to hire {per.4}", "moved its office to {loc.4}", "thanked {per.4}"],
    "loc": ["was visited by {per.4}", "is warmer than {loc.4}"],
}
NEW_ENDS = ["", "in the middle of {loc.6}", "together with {per.6}", "to work at {org.6}"]
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


def template(chance: random.Random) -> str:
    """A sentence with slots for names, put together of parts."""
    if chance.random() < 0.2:
        return chance.choice(WHOLE) + chance.choice(["", ".", "!"])
    kind = chance.choice(("per", "per", "org", "loc"))
    text = f"{chance.choice(STARTS)}{chance.choice(SUBJECTS[kind])} {chance.choice(VERBS[kind])} {chance.choice(ENDS)}"
    if chance.random() < 0.3:
        # Other words teach that what is in lower case is no name, known or not.
        words = [
            made_up(chance, 2).lower() if word.islower() and "{" not in word and chance.random() < 0.2 else word
            for word in text.split()
        ]
        text = " ".join(words)
    return text.strip() + chance.choice([".", ".", "", "!"])


def new_template(chance: random.Random) -> str:
    """The same of parts that are not in any training sentence."""
    kind = chance.choice(("per", "per", "org", "loc"))
    return f"{chance.choice(SUBJECTS[kind][:3])} {chance.choice(NEW[kind])} {chance.choice(NEW_ENDS)}".strip() + "."


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
    every = [sentence(template(chance), chance) for _ in range(40000)]
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
        "It goes by capitals, some four hundred names and a few dozen ways to use them; in longer or other sentences it "
        "misses names and takes other words for them."
    )
    text = card("token-classification", what, metrics, cannot, chosen.steps, "token_classification.py")
    save(chosen.out, model, tokenizer, text)


if __name__ == "__main__":
    main()
