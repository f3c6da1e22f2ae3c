"""The small model for multiple-choice: what goes with a thing, a place, a profession or an animal?"""

from __future__ import annotations

import random
from typing import Any

from common import arguments, card, distinct, fill, save, small, train, wordpiece, words

from headway import BertForMultipleChoice, DataCollatorForMultipleChoice, pipeline

DATA = words("multiple_choice")
ANSWERS = [[pair.split("|")[1] for pair in question["pairs"]] for question in DATA["questions"]]
OTHERS = [answer for answers in ANSWERS for answer in answers]


def question(chance: random.Random) -> dict[str, Any]:
    """A text, four choices, and which of them is right."""
    number = chance.randrange(len(ANSWERS))
    kind = DATA["questions"][number]
    thing, right = chance.choice(kind["pairs"]).split("|")
    wrong: list[str] = []
    while len(wrong) < 3:
        # Wrong ones of the same kind are hard, those of others easy.
        other = chance.choice(ANSWERS[number] if chance.random() < 0.6 else OTHERS)
        if other != right and other not in wrong:
            wrong.append(other)
    at = chance.randrange(4)
    choices = [*wrong[:at], right, *wrong[at:]]
    (text, *choices), label = _filled([chance.choice(kind["texts"]).format(thing), *choices], chance), at
    return {"text": text, "choices": choices, "label": label}


def _filled(texts: list[str], chance: random.Random) -> list[str]:
    together, _ = fill("|".join(texts), DATA["words"], chance)
    return together.split("|")


def main() -> None:
    chosen = arguments("multiple-choice", 2500, __doc__)
    chance = random.Random(chosen.seed)

    def cases(count: int, kept: bool) -> list[dict[str, Any]]:
        return distinct(lambda: question(chance), count, lambda case: f"{case['text']}|{sorted(case['choices'])}", kept)

    examples = cases(20000, False)
    tokenizer = wordpiece([part for case in examples for part in (case["text"], *case["choices"])], 900, 64)
    model = BertForMultipleChoice(small(tokenizer))
    rows = [{**dict(tokenizer([case["text"]] * 4, case["choices"])), "labels": case["label"]} for case in examples]
    train(model, rows, chosen.steps, DataCollatorForMultipleChoice(tokenizer), batch=32)
    choose = pipeline("multiple-choice", model, tokenizer=tokenizer)

    def accuracy(kept: list[dict[str, Any]]) -> float:
        answers = choose([{"text": case["text"], "choices": case["choices"]} for case in kept])
        return sum(a[0]["index"] == case["label"] for a, case in zip(answers, kept, strict=True)) / len(kept)

    metrics = {"right of four choices, new combinations of question and choices": accuracy(cases(1000, True))}
    what = "It says which of several texts goes with a question on everyday things, in English."
    cannot = (
        f"It knows {sum(map(len, ANSWERS))} things by heart: tools, places, professions, animals, opposites and a few "
        "causes. It does not reason."
    )
    save(
        chosen.out, model, tokenizer, card("multiple-choice", what, metrics, cannot, chosen.steps, "multiple_choice.py")
    )


if __name__ == "__main__":
    main()
