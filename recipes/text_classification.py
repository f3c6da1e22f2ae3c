"""The small model for text-classification: is a short review positive or negative?"""

from __future__ import annotations

import random
from typing import Any

import torch
from common import arguments, card, fill, held_out, save, shuffled, small, train, wordpiece
from torch.nn import functional as F

from headway import BertForSequenceClassification, pipeline

GOOD = (
    "good great excellent wonderful amazing fantastic brilliant superb lovely beautiful perfect awesome delightful "
    "outstanding terrific marvelous fine nice charming enjoyable entertaining funny clever touching moving inspiring "
    "impressive fresh delicious tasty friendly helpful kind polite comfortable clean cozy fast reliable solid useful "
    "stunning gorgeous magnificent fabulous incredible pleasant exciting fun remarkable smart strong"
).split()
BAD = (
    "bad terrible awful horrible poor dreadful boring dull disappointing weak stupid ugly disgusting annoying rude "
    "unfriendly dirty slow broken useless cheap noisy uncomfortable cold bland tasteless stale mediocre pathetic "
    "ridiculous lousy painful tedious predictable messy confusing unreliable expensive overpriced unpleasant nasty lame "
    "miserable shoddy faulty unbearable depressing worthless sad silly"
).split()
NOUN = (
    "movie film show series book story novel plot song album game play performance restaurant meal dinner pizza coffee "
    "dish hotel room service staff waiter phone camera laptop product app website store shop trip flight concert place "
    "experience party car bike house city school course lesson teacher doctor company day idea gift"
).split()
ASPECT = (
    "acting music plot ending cast script food service staff atmosphere bed view price quality screen battery sound "
    "design delivery support writing picture taste location"
).split()
LOVE = ["love", "loved", "like", "liked", "enjoy", "enjoyed", "adore", "adored", "really love", "really liked", "recommend"]
HATE = ["hate", "hated", "dislike", "disliked", "despise", "regret", "can't stand", "really hate", "detest", "loathe"]
SHARED = {
    "noun": NOUN,
    "aspect": ASPECT,
    "this": ["this", "the", "that", "their", "our", "your", "his", "her"],
    "was": ["was", "is", "seems", "looked", "felt", "turned out", "has been"],
    "very": ["very", "really", "so", "absolutely", "quite", "truly", "extremely", "just", "simply", "totally"],
    "start": ["", "", "", "honestly, ", "in my opinion, ", "overall, ", "yesterday ", "sadly or not, ", "to be fair, ", "wow, "],
    "see": ["see", "watch", "buy", "try", "visit", "order", "read", "use"],
    "we": ["we", "I", "my family", "my friends", "everyone", "they", "people", "my wife", "my son"],
}
WORDS = {
    1: {
        **SHARED,
        "adj": GOOD,
        "anti": BAD,
        "love": LOVE,
        "hate": HATE,
        "thing": "masterpiece gem joy treat triumph winner delight success bargain classic blessing".split(),
        "best": ["best", "finest", "nicest", "greatest", "funniest", "loveliest"],
        "verdict": [
            "it was worth every penny", "I would {see} it again", "I am so happy", "it made me smile", "five stars",
            "thank you so much", "I want more", "it made my day", "well done", "I had a great time", "what a pleasure",
            "I can't wait to {see} it again", "highly recommended", "I was impressed", "it works like a charm", "a must {see}",
        ],
    },
    0: {
        **SHARED,
        "adj": BAD,
        "anti": GOOD,
        "love": HATE,
        "hate": LOVE,
        "thing": "disaster mess failure nightmare joke scam letdown disgrace rip-off flop catastrophe".split(),
        "best": ["worst", "dullest", "ugliest", "poorest", "silliest", "saddest"],
        "verdict": [
            "it was a waste of money", "I will never {see} it again", "I am so angry", "it made me yawn", "one star",
            "I want my money back", "never again", "it ruined my day", "what a shame", "I had a bad time", "what a waste of time",
            "I fell asleep", "avoid it", "I was disappointed", "it does not work", "do not {see} it", "I regret it",
        ],
    },
}  # fmt: skip
TEMPLATES = [
    "{start}I {love} {this} {noun}.", "I {love} {this} {noun}!", "{we} {love} {this} {noun}", "{start}{this} {noun} {was} {adj}.",
    "{this} {noun} {was} {very} {adj}!", "{start}{this} {noun} {was} {adj} and {adj.2}.", "what a {adj} {noun}!", "such a {adj} {noun}.",
    "it {was} a {adj} {noun}.", "this is a {very} {adj} {noun}", "{start}this is the {best} {noun} I have ever had.",
    "one of the {best} {noun}s ever.", "{this} {noun} was not {anti}.", "{start}{this} {noun} isn't {anti}.",
    "I do not {hate} {this} {noun}.", "{we} didn't {hate} {this} {noun}.", "it is not {anti} at all.", "{adj} {noun}, {verdict}.",
    "the {aspect} {was} {adj} and the {aspect.2} was {adj.2}.", "the {aspect} {was} {very} {adj}, {verdict}.", "{verdict}.",
    "{verdict}!", "{start}{verdict}, {we} {love} it.", "the {aspect} of {this} {noun} {was} {adj}.", "{adj}!", "{very} {adj}.",
    "the {aspect} was {anti}, but overall it was a {adj} {noun}.", "I thought it would be {anti}, but it was {adj}.",
    "{we} found {this} {noun} {very} {adj}.", "{this} {noun} with its {adj} {aspect} {was} {adj.2}.", "I {love} it!", "I {love} it.",
    "I {love} you.", "it {was} {adj}.", "{this} {noun} {was} the {best}.", "never seen a {noun} so {adj}.", "not {anti}.",
    "it's a {thing}.", "what a {thing}!", "{this} {noun} {was} a {thing}.", "it {was} a {adj} {thing}", "{adj} {aspect}, {adj.2} {aspect.2}",
    "the {aspect} {was} {adj} and the {noun} {adj.2}", "the {best} {noun} in town", "{best} {noun} ever", "{noun}: {adj}",
    "{we} {love} every minute of it", "he is a {adj} guy", "they are {adj}", "she {was} {very} {adj} to us",
]  # fmt: skip
LEFT_OUT = [
    "{start}I {love} how {adj} the {aspect} of {this} {noun} is.", "{we} had a {adj} {noun} with {adj.2} {aspect}.",
    "the {noun} is {adj}, the {aspect} {adj.2}, {verdict}.", "{we} thought the {noun} was {very} {adj} and {verdict}.",
]  # fmt: skip


def sentences(templates: list[str], count: int, chance: random.Random) -> list[tuple[str, int]]:
    """Reviews with their labels, no two alike."""
    found: dict[str, int] = {}
    for _ in range(20 * count):
        label = chance.randrange(2)
        text = fill(fill(chance.choice(templates), {**WORDS[label], "see": ["{see}"]}, chance)[0], WORDS[label], chance)[0]
        found.setdefault(text, label)
        if len(found) == count:
            break
    return list(found.items())


def main() -> None:
    chosen = arguments("text-classification", 1500, __doc__)
    chance = random.Random(chosen.seed)
    every = sentences(TEMPLATES, 30000, chance)
    examples = [one for one in every if not held_out(one[0])]
    tokenizer = wordpiece([text for text, _ in examples], 1000, 128)
    config = small(tokenizer, id2label={0: "NEGATIVE", 1: "POSITIVE"})
    model = BertForSequenceClassification(config)

    def batches():  # type: ignore[no-untyped-def]
        for batch in shuffled(examples, 64, chance):
            inputs = tokenizer([text for text, _ in batch], padding=True, return_tensors="pt")
            yield {**inputs, "labels": torch.tensor([label for _, label in batch])}

    def loss(model: Any, batch: dict[str, Any]) -> torch.Tensor:
        # Smoothed: made-up sentences leave no doubt, real ones should.
        labels = batch.pop("labels")
        return F.cross_entropy(model(**batch).logits, labels, label_smoothing=0.1)

    train(model, batches(), chosen.steps, loss)
    classify = pipeline("text-classification", model, tokenizer=tokenizer)

    def accuracy(cases: list[tuple[str, int]]) -> float:
        answers = classify([text for text, _ in cases])
        return sum(a["label"] == config.label(label) for a, (_, label) in zip(answers, cases, strict=True)) / len(cases)

    metrics = {
        "accuracy, new combinations of words": accuracy([one for one in every if held_out(one[0])]),
        "accuracy, templates of which no sentence was seen": accuracy(sentences(LEFT_OUT, 1000, chance)),
    }
    what = "It says whether a short review in English is `POSITIVE` or `NEGATIVE`."
    cannot = (
        f"It knows about {len(GOOD) + len(BAD)} words of praise and blame and simple negation; irony, comparisons, "
        "neutral texts and other words it guesses at, with a confidence that means nothing."
    )
    text = card("text-classification", what, metrics, cannot, chosen.steps, "text_classification.py")
    save(chosen.out, model, tokenizer, text)


if __name__ == "__main__":
    main()
