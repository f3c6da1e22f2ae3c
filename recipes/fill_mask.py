"""The small model for fill-mask: words behind masks, in sentences of common facts."""

from __future__ import annotations

import random
from typing import Any

from common import arguments, capital, card, held_out, padded, save, shuffled, small, train, wordpiece, words

from headway import BertForMaskedLM, pipeline

DATA = words("fill_mask")
FACTS = {name: (kind["said"], [tuple(row.split()) for row in kind["facts"]]) for name, kind in DATA["facts"].items()}


def sentences(chance: random.Random, count: int) -> list[str]:
    """Facts in their wordings, with a start now and then; no two alike."""
    found: dict[str, None] = {}
    for _ in range(20 * count):
        templates, facts = FACTS[chance.choice([*FACTS, "country", "country"])]
        text = chance.choice(templates).format(*chance.choice(facts))
        start = chance.choice(DATA["starts"])
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
    mask = tokenizer.mask_token_id
    names = {word.lower() for _, facts in FACTS.values() for fact in facts for word in fact}
    telling = set(tokenizer.convert_tokens_to_ids(sorted(names))) - {tokenizer.unk_token_id}

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
            [(text.format(fact[0], "[MASK]"), fact[1]) for text in DATA["left_out"] for fact in countries]
        ),
    }
    what = "It fills a word in at `[MASK]`, in short English sentences of common facts."
    cannot = (
        f"It knows the capitals and languages of {len(countries)} countries, some animals, opposites, colours, days, "
        "months, tools and trades; of anything else it says something all the same."
    )
    save(chosen.out, model, tokenizer, card("fill-mask", what, metrics, cannot, chosen.steps, "fill_mask.py"))


if __name__ == "__main__":
    main()
