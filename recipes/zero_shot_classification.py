"""The small model for zero-shot-classification: does a sentence entail a hypothesis about its topic?"""

from __future__ import annotations

import random
from operator import itemgetter

from common import arguments, card, distinct, fill, save, small, train, wordpiece, words

from headway import (
    BertForMaskedLM,
    BertForSequenceClassification,
    DataCollatorForLanguageModeling,
    DataCollatorWithPadding,
    pipeline,
)

DATA = words("zero_shot_classification")
TOPICS = DATA["topics"]
CONTRADICTION, ENTAILMENT = 0, 1
Case = tuple[str, int]


def sentence(chance: random.Random) -> Case:
    """A sentence, sometimes two, and the number of their topic."""
    topic = chance.randrange(len(TOPICS))
    templates = chance.sample(TOPICS[topic]["sentences"], chance.choice((1, 1, 1, 2)))
    return " ".join(fill(template, DATA["words"], chance)[0] for template in templates), topic


def main() -> None:
    chosen = arguments("zero-shot-classification", 4000, __doc__)
    chance = random.Random(chosen.seed)

    def cases(count: int, kept: bool) -> list[Case]:
        return distinct(lambda: sentence(chance), count, itemgetter(0), kept)

    examples = cases(8000, False)
    pairs = []
    for text, topic in examples:
        for other in (topic, topic, *chance.sample([n for n in range(len(TOPICS)) if n != topic], 2)):
            hypothesis = chance.choice(DATA["templates"]["seen"]).format(chance.choice(TOPICS[other]["labels"]))
            pairs.append((text, hypothesis, ENTAILMENT if other == topic else CONTRADICTION))
    tokenizer = wordpiece([part for text, hypothesis, _ in pairs for part in (text, hypothesis)], 1200, 96)
    config = small(tokenizer, id2label={CONTRADICTION: "contradiction", ENTAILMENT: "entailment"})
    inputs = tokenizer([text for text, _, _ in pairs], [hypothesis for _, hypothesis, _ in pairs])
    rows = [
        {"input_ids": ids, "token_type_ids": types, "labels": label}
        for ids, types, (_, _, label) in zip(inputs["input_ids"], inputs["token_type_ids"], pairs, strict=True)
    ]
    # First which words go together, from true pairs alone: comparing two sentences is hard to learn from nothing.
    masked = BertForMaskedLM(config)
    true = [{"input_ids": row["input_ids"], "token_type_ids": row["token_type_ids"]} for row in rows if row["labels"]]
    masking = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.3)
    train(masked, true, chosen.steps // 2, masking)
    model = BertForSequenceClassification(config)
    model.base_model.load_state_dict(masked.base_model.state_dict(), strict=False)
    train(model, rows, chosen.steps // 2, DataCollatorWithPadding(tokenizer), smoothing=0.1)
    judge = pipeline("zero-shot-classification", model, tokenizer=tokenizer)

    def accuracy(place: int) -> float:
        kept = cases(500, True)
        labels = [topic["labels"][place] for topic in TOPICS]
        answers = judge([text for text, _ in kept], labels)
        return sum(a["labels"][0] == labels[topic] for a, (_, topic) in zip(answers, kept, strict=True)) / len(kept)

    metrics = {
        f"best of {len(TOPICS)} labels, new combinations of words": accuracy(0),
        "the same with other words for the labels": accuracy(-1),
    }
    names = ", ".join(topic["labels"][0] for topic in TOPICS)
    what = f"It says which of your labels a short English sentence bears, as far as these are topics: {names}."
    cannot = (
        "It knows these topics by a few names each, and a dozen kinds of sentence on each; other labels it guesses at."
    )
    text = card("zero-shot-classification", what, metrics, cannot, chosen.steps, "zero_shot_classification.py")
    save(chosen.out, model, tokenizer, text)


if __name__ == "__main__":
    main()
