"""English sentences beside German ones, by a grammar and a phrase book, for the recipe of text2text-generation."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from common import capital, fill, made_up, words

DATA = words("text2text_generation")
# By person: I, you, she, we.
BE = ("am bin was war", "are bist were warst", "is ist was war", "are sind were waren")
GO, HAVE = ("go gehe", "go gehst", "goes geht", "go gehen"), ("habe", "hast", "hat", "haben")
# Articles for masculine, feminine and neuter nouns, each with the ending of an adjective behind it.
ARTICLES = {
    "the": {"nominative": "der-e die-e das-e", "accusative": "den-en die-e das-e"},
    "a": {"nominative": "ein-er eine-e ein-es", "accusative": "einen-en eine-e ein-es"},
    "my": {"nominative": "mein-er meine-e mein-es", "accusative": "meinen-en meine-e mein-es"},
    "your": {"nominative": "dein-er deine-e dein-es", "accusative": "deinen-en deine-e dein-es"},
    "our": {"nominative": "unser-er unsere-e unser-es", "accusative": "unseren-en unsere-e unser-es"},
    "this": {"nominative": "dieser-e diese-e dieses-e", "accusative": "diesen-en diese-e dieses-e"},
}
NO = "keinen-en keine-e kein-es"
QUALITIES = {"things": "adjectives", "people": "feelings"}
Pair = tuple[str, str]


def drawn(name: str, chance: random.Random) -> list[str]:
    """An entry of a list, in its parts."""
    return chance.choice(DATA[name]).split("|")


def somebody(chance: random.Random) -> tuple[str, str, int]:
    """A subject in both languages, and its person."""
    if chance.random() < 0.25:
        return *noun("people", "nominative", chance, chance.choice(list(ARTICLES))), 2
    subject, wer, number = drawn("subjects", chance)
    return subject, wer, int(number) - 1


def noun(kind: str, case: str, chance: random.Random, article: str, german_articles: str = "") -> Pair:
    """A noun with an article, and sometimes an adjective."""
    english, german, gender = drawn(kind, chance)
    forms = german_articles or ARTICLES[article][case]
    der, ending = forms.split()["mfn".index(gender)].split("-")
    if chance.random() < 0.25:
        what, wie = drawn(QUALITIES[kind], chance)
        # "teuer" becomes "teure", and "müde" has its ending already.
        english, german = f"{what} {english}", f"{re.sub('euer$', 'eur', wie).removesuffix('e')}{ending} {german}"
    return f"{article} {english}", f"{der} {german}"


def doing(chance: random.Random) -> Pair:
    """Somebody does something, perhaps at some time; or it is asked, denied, wanted, or long ago."""
    subject, wer, person = somebody(chance)
    form = chance.choice(("said", "said", "asked", "denied", "modal", "done", "done?"))
    if chance.random() < 0.65:
        verb, article = drawn("verbs", chance), chance.choice(list(ARTICLES))
        denied = NO if form == "denied" and article == "a" else ""
        kind = "people" if verb[0] in DATA["towards_people"] and chance.random() < 0.3 else "things"
        thing, was = noun(kind, "accusative", chance, article, denied)
        nicht = was if denied else f"{was} nicht"
    else:
        *verb, thing, was, nicht = drawn("doing", chance)
    base, third, *forms, did, getan = verb
    tut, tun = forms[person], forms[3]
    do, does = ("does", third) if person == 2 else ("do", base)
    time, wann = drawn("past" if "done" in form else "times", chance) if chance.random() < 0.4 else ("", "")
    match form:
        case "asked":
            return f"{do} {subject} {base} {thing} {time}?", f"{tut} {wer} {wann} {was}?"
        case "denied":
            return f"{subject} {do} not {base} {thing}.", f"{wer} {tut} {nicht}."
        case "modal":
            can, she_can, *modal = drawn("modals", chance)
            wish = f"{subject} {she_can if person == 2 else can} {base} {thing} {time}."
            return wish, f"{wer} {modal[person]} {wann} {was} {tun}."
        case "done":
            return f"{subject} {did} {thing} {time}.", f"{wer} {HAVE[person]} {wann} {was} {getan}."
        case "done?":
            return f"did {subject} {base} {thing} {time}?", f"{HAVE[person]} {wer} {wann} {was} {getan}?"
    if time and chance.random() < 0.5:
        return f"{time} {subject} {does} {thing}.", f"{wann} {tut} {wer} {was}."
    return f"{subject} {does} {thing} {time}.", f"{wer} {tut} {wann} {was}."


def being(chance: random.Random) -> Pair:
    """How somebody or something is or was, and where, and ways there."""
    subject, wer, person = somebody(chance)
    place, ort, gender = drawn("places", chance)
    kind = chance.randrange(8)
    if kind < 2:
        (subject, wer), person = noun("things", "nominative", chance, chance.choice(list(ARTICLES))), 2
    am, bin, was, war = BE[person].split()
    am, bin = (was, war) if chance.random() < 0.2 else (am, bin)
    if kind < 5:
        very, sehr = chance.choice((("", ""), ("", ""), ("very ", "sehr "), ("not ", "nicht ")))
        what, wie = drawn("adjectives" if kind < 2 else "feelings", chance)
        if chance.random() < 0.25:
            return f"{am} {subject} {very}{what}?", f"{bin} {wer} {sehr}{wie}?"
        return f"{subject} {am} {very}{what}.", f"{wer} {bin} {sehr}{wie}."
    there, dort = "in the", "in der" if gender == "f" else "im"
    match chance.randrange(6):
        case 0:
            das = ARTICLES["the"]["nominative"].split()["mfn".index(gender)].split("-")[0]
            return f"where is the {place}?", f"wo ist {das} {ort}?"
        case 1:
            thing, ding = noun("things", "accusative", chance, "a")
            return f"there is {thing} {there} {place}.", f"es gibt {ding} {dort} {ort}."
        case 2:
            return f"{subject} {am} {there} {place}.", f"{wer} {bin} {dort} {ort}."
        case 3:
            this, (what, was) = chance.choice(("this", "that", "it")), noun("things", "nominative", chance, "a")
            return f"{this} is {what}.", f"{'es' if this == 'it' else 'das'} ist {was}."
        case 4:
            return f"how do I get to the {place}?", f"wie komme ich {'zur' if gender == 'f' else 'zum'} {ort}?"
    go, gehe = GO[person].split()
    return f"{subject} {go} to the {place}.", f"{wer} {gehe} {'zur' if gender == 'f' else 'zum'} {ort}."


def sentence(chance: random.Random) -> Pair:
    """A sentence of a grammar, or two."""
    one = doing(chance) if chance.random() < 0.7 else being(chance)
    if chance.random() < 0.8:
        return one
    two = doing(chance) if chance.random() < 0.7 else being(chance)
    if one[0].endswith(".") and two[0].endswith("."):
        (link, und) = chance.choice(((" and", " und"), (", but", ", aber")))
        return f"{one[0].rstrip('.')}{link} {two[0]}", f"{one[1].rstrip('.')}{und} {two[1]}"
    one = chance.choice((one, phrase(chance)))
    return f"{one[0]} {capital(two[0])}", f"{one[1]} {capital(two[1])}"


def phrase(chance: random.Random) -> Pair:
    """An entry of the phrase book."""
    english, german = drawn("phrases", chance)
    return english, german


def names(chance: random.Random) -> dict[str, list[str]]:
    """What names stand for; often one that nobody has, so that names are copied, not known."""
    chosen = {"number": [str(chance.randint(2, 99))]}
    for kind, known in DATA["names"].items():
        one, other = chance.sample(known, 2)
        crossed = one[: len(one) // 2] + other[len(other) // 2 :].lower()
        chosen[kind] = [crossed, made_up(chance, 2)] if chance.random() < 0.5 else known
    return chosen


def translated(make: Callable[[random.Random], Pair], chance: random.Random) -> Pair:
    """What ``make`` says, with names, and the English sometimes as people type it."""
    both, _ = fill("|".join(make(chance)), names(chance), chance)
    english, german = (capital(re.sub(r" +([.?,])", r"\1", " ".join(side.split()))) for side in both.split("|"))
    if chance.random() < 0.25:
        english = re.sub(r"(?i)\b(I|you|we|they) (?:a(m|re))\b", r"\1'\2", english)
        english = re.sub(r"(?i)\b(he|she|it|that|what|where|who) is\b", r"\1's", english)
        english = re.sub(r"\b(do|does|is|are|was|were) not\b", r"\1n't", english)
    if chance.random() < 0.3:
        english = english.replace(",", "").rstrip(".?!")
    if chance.random() < 0.2:
        english = english[0].lower() + english[1:]
    return english, german
