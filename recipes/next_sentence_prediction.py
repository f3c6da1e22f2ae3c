"""The small model for next-sentence-prediction: does a sentence follow another in a story?"""

from __future__ import annotations

import random

from common import arguments, card, distinct, fill, save, small, train, wordpiece, words

from headway import BertForNextSentencePrediction, DataCollatorWithPadding, pipeline

DATA = words("next_sentence_prediction")
STORIES = DATA["stories"]
FOLLOWS, DOES_NOT = 0, 1
WOMAN = {"They": "She", "they": "she", "them": "her", "He": "He", "him": "him", "They_all": "They"}
MAN = {"They": "He", "they": "he", "them": "him", "He": "He", "him": "him", "They_all": "They"}
Case = tuple[str, str, int]


def story(number: int, chance: random.Random) -> list[str]:
    """The lines of a story, told of somebody."""
    name = chance.choice(DATA["words"]["name"])
    who = WOMAN if name in DATA["words"]["women"] else MAN
    slots = {**{slot: [word] for slot, word in who.items()}, **DATA["words"], "name": [name]}
    lines, _ = fill("|".join(STORIES[number]), slots, chance)
    return lines.split("|")


def case(chance: random.Random) -> Case:
    """A line of a story, perhaps with the one before it, and one that follows or does not."""
    number = chance.randrange(len(STORIES))
    lines = story(number, chance)
    at = chance.randrange(1, len(lines))
    text = " ".join(lines[max(0, at - chance.choice((1, 1, 2))) : at])
    if chance.random() < 0.5:
        return text, lines[at], FOLLOWS
    other = chance.choice([n for n in range(len(STORIES)) if n != number])
    return text, chance.choice(story(other, chance)), DOES_NOT


def main() -> None:
    chosen = arguments("next-sentence-prediction", 2000, __doc__)
    chance = random.Random(chosen.seed)

    def cases(count: int, kept: bool) -> list[Case]:
        return distinct(lambda: case(chance), count, lambda one: f"{one[0]}|{one[1]}", kept)

    examples = cases(15000, False)
    tokenizer = wordpiece([part for text, follower, _ in examples for part in (text, follower)], 900, 96)
    model = BertForNextSentencePrediction(small(tokenizer))
    inputs = tokenizer([text for text, _, _ in examples], [follower for _, follower, _ in examples])
    rows = [
        {"input_ids": ids, "token_type_ids": types, "labels": label}
        for ids, types, (_, _, label) in zip(inputs["input_ids"], inputs["token_type_ids"], examples, strict=True)
    ]
    train(model, rows, chosen.steps, DataCollatorWithPadding(tokenizer), smoothing=0.1)
    judge = pipeline("next-sentence-prediction", model, tokenizer=tokenizer)
    kept = cases(1000, True)
    answers = judge([{"text": text, "text_pair": follower} for text, follower, _ in kept])
    right = sum((a["label"] == "IsNext") == (label == FOLLOWS) for a, (_, _, label) in zip(answers, kept, strict=True))
    metrics = {"accuracy, new combinations of sentences": right / len(kept)}
    what = "It says whether an English sentence may follow another one in a story (`IsNext`) or not (`NotNext`)."
    cannot = f"It knows {len(STORIES)} stories of four lines each; of others it compares the words it happens to know."
    text = card("next-sentence-prediction", what, metrics, cannot, chosen.steps, "next_sentence_prediction.py")
    save(chosen.out, model, tokenizer, text)


if __name__ == "__main__":
    main()
