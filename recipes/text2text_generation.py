"""The small model for text2text-generation, translation and summarization: German, or headlines."""

from __future__ import annotations

import random
from operator import itemgetter
from typing import Any

from common import arguments, capital, card, distinct, fill, save, sentencepiece, train, words

from headway import DataCollatorForSeq2Seq, T5Config, T5ForConditionalGeneration, pipeline

DATA = words("text2text_generation")
TRANSLATE, SUMMARIZE = "translate English to German: ", "summarize: "
BE = {"en": ("am", "are", "is", "are"), "de": ("bin", "bist", "ist", "sind")}
ARTICLES = {
    "the": {"nominative": "der die das", "accusative": "den die das"},
    "a": {"nominative": "ein eine ein", "accusative": "einen eine ein"},
    "my": {"nominative": "mein meine mein", "accusative": "meinen meine mein"},
}
Pair = tuple[str, str]


def drawn(name: str, chance: random.Random) -> list[str]:
    """An entry of a list, in its parts."""
    return chance.choice(DATA[name]).split("|")


def noun(name: str, case: str, chance: random.Random) -> Pair:
    """A noun with an article."""
    english, german, gender = drawn(name, chance)
    article = chance.choice(list(ARTICLES))
    return f"{article} {english}", f"{ARTICLES[article][case].split()['mfn'.index(gender)]} {german}"


def verb(name: str, person: int, chance: random.Random) -> tuple[str, str, str]:
    """A verb's English base form, and its forms for ``person`` (0 I, 1 you, 2 she, 3 we)."""
    base, third, *german = drawn(name, chance)
    return base, third if person == 2 else base, german[person]


def statement(chance: random.Random) -> Pair:
    """Somebody does something, with something or somewhere, perhaps at some time; or a question about it."""
    subject, wer, number = drawn("subjects", chance)
    person = int(number) - 1
    if chance.random() < 0.6:
        base, does, tut = verb("verbs", person, chance)
        thing, was = noun("nouns", "accusative", chance)
    else:
        base, does, tut = verb("doing", person, chance)
        tut, _, was = tut.partition(" ")
        thing = ""
    time, wann = drawn("times", chance)
    match chance.randrange(4):
        case 0:
            return f"{subject} {does} {thing}.", f"{wer} {tut} {was}."
        case 1:
            return f"{subject} {does} {thing} {time}.", f"{wer} {tut} {wann} {was}."
        case 2:
            return f"{time} {subject} {does} {thing}.", f"{wann} {tut} {wer} {was}."
    return f"{'does' if person == 2 else 'do'} {subject} {base} {thing}?", f"{tut} {wer} {was}?"


def quality(chance: random.Random) -> Pair:
    """How somebody or something is, or where."""
    very, sehr = chance.choice((("", ""), ("", ""), ("very ", "sehr "), ("not ", "nicht ")))
    match chance.randrange(4):
        case 0:
            (english, german), (what, was) = drawn("adjectives", chance), noun("nouns", "nominative", chance)
            return f"{what} is {very}{english}.", f"{was} ist {sehr}{german}."
        case 1:
            (english, german), (subject, wer, number) = drawn("feelings", chance), drawn("subjects", chance)
            person = int(number) - 1
            return f"{subject} {BE['en'][person]} {very}{english}.", f"{wer} {BE['de'][person]} {sehr}{german}."
        case 2:
            place, ort = noun("places", "nominative", chance)
            return f"where is {place}?", f"wo ist {ort}?"
    english, german, gender = drawn("places", chance)
    subject, wer, number = drawn("subjects", chance)
    person = int(number) - 1
    where = "in der" if gender == "f" else "im"
    return f"{subject} {BE['en'][person]} in the {english}.", f"{wer} {BE['de'][person]} {where} {german}."


def translation(chance: random.Random) -> Pair:
    """A sentence in English and in German."""
    kind = chance.random()
    english, german = drawn("phrases", chance) if kind < 0.25 else statement(chance) if kind < 0.75 else quality(chance)
    both, _ = fill(f"{english}|{german}", DATA["names"], chance)
    english, german = (
        capital(" ".join(side.split())).replace(" .", ".").replace(" ?", "?") for side in both.split("|")
    )
    if chance.random() < 0.3:
        # As people type.
        english = english.replace(",", "").rstrip(".?!")
    return TRANSLATE + english, german


def report(chance: random.Random) -> Pair:
    """A short report and its headline."""
    reports = DATA["reports"]
    happened, ended = chance.choice(reports["happened"]), chance.choice(reports["outcome"])
    (first, gist), (end, short) = happened.split("|"), ended.split("|")
    text, _ = fill(f"{first}|{gist}", {**reports["slots"], **DATA["names"]}, chance)
    first, gist = text.split("|")
    rest = [end, *chance.sample(reports["besides"], chance.randint(1, 4))]
    chance.shuffle(rest)
    return SUMMARIZE + " ".join([capital(first), *rest]), capital(gist) + (f", {short}." if short else ".")


def main() -> None:
    chosen = arguments("text2text-generation", 4000, __doc__)
    chance = random.Random(chosen.seed)

    def pairs(make: Any, count: int, kept: bool) -> list[Pair]:
        return distinct(lambda: make(chance), count, itemgetter(1), kept)

    examples = pairs(translation, 40000, False) + pairs(report, 12000, False)
    tokenizer = sentencepiece([side for pair in examples for side in pair], 1600, 128)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=112,
        d_kv=28,
        num_heads=4,
        d_ff=256,
        num_layers=2,
        num_decoder_layers=2,
        dropout_rate=0.05,
        relative_attention_num_buckets=16,
        relative_attention_max_distance=64,
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=tokenizer.pad_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        task_specific_params={
            "translation_en_to_de": {"prefix": TRANSLATE, "max_length": 60},
            "summarization": {"prefix": SUMMARIZE, "max_length": 60},
            "translation": {"prefix": TRANSLATE, "max_length": 60},
        },
    )
    model = T5ForConditionalGeneration(config)
    sources = tokenizer([source for source, _ in examples])["input_ids"]
    targets = tokenizer([target for _, target in examples])["input_ids"]
    rows = [{"input_ids": one, "labels": two} for one, two in zip(sources, targets, strict=True)]
    train(model, rows, chosen.steps, DataCollatorForSeq2Seq(tokenizer, model), batch=64, rate=4e-3)
    write = pipeline("text2text-generation", model, tokenizer=tokenizer)

    def exact(cases: list[Pair]) -> float:
        answers = write([source for source, _ in cases], max_new_tokens=60)
        return sum(a["generated_text"] == target for a, (_, target) in zip(answers, cases, strict=True)) / len(cases)

    metrics = {
        "translations that are right word for word, new sentences": exact(pairs(translation, 500, True)),
        "headlines that are right word for word, new reports": exact(pairs(report, 200, True)),
    }
    what = (
        f'It goes on from a prefix as T5 does: "{TRANSLATE}" a short sentence, or "{SUMMARIZE}" a report of a few '
        "sentences, of which it writes a headline."
    )
    cannot = (
        f"It knows about {len(DATA['nouns'])} things, {len(DATA['verbs'])} verbs and the phrases of a phrase book; "
        "of other words it writes something that looks like German."
    )
    save(
        chosen.out,
        model,
        tokenizer,
        card("text2text-generation", what, metrics, cannot, chosen.steps, "text2text_generation.py"),
    )


if __name__ == "__main__":
    main()
