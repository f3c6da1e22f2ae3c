"""Fine-tunes a small sentence encoder to tell what a sentence is about.

    python examples/finetune_minilm.py MODEL [--steps 60] [--out topics]

MODEL is sentence-transformers/all-MiniLM-L6-v2, by its name on the hub or as a folder. It learns eight topics from 320
sentences that are made of templates, and is tried on sentences of templates that it has not seen.
"""

from __future__ import annotations

import argparse
import time
from itertools import product
from typing import Any

from headway import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments, set_seed
from headway.training.metrics import Accuracy

# Of each topic: who, and what they do. Sentences are made of all pairs; some of what is done is kept for the trial.
TOPICS = {
    "sports": (
        ["The striker", "Our captain", "The young runner", "The team"],
        ["missed a penalty", "won the final", "lost the match", "set a record", "trained for the cup"],
        ["scored in the last minute", "took home the gold medal", "was shown a red card"],
    ),
    "politics": (
        ["The president", "The minister", "Parliament", "The opposition"],
        ["passed the law", "rejected the bill", "promised lower taxes", "called an election", "debated the treaty"],
        ["lost a vote of confidence", "campaigned before the polls", "formed a new coalition"],
    ),
    "food": (
        ["The chef", "My grandmother", "The baker", "A waiter"],
        ["made a tomato soup", "roasted the chicken", "served fresh bread", "added salt to the sauce", "baked a cake"],
        ["fried the potatoes in butter", "seasoned the salad", "boiled rice for dinner"],
    ),
    "music": (
        ["The orchestra", "A pianist", "The band", "The singer"],
        ["recorded an album", "rehearsed a symphony", "gave a concert", "tuned the violin", "wrote a melody"],
        ["played two songs as an encore", "performed at the opera", "sang in a minor key"],
    ),
    "health": (
        ["The doctor", "A nurse", "The surgeon", "The clinic"],
        [
            "treated the fever",
            "prescribed some pills",
            "measured the blood pressure",
            "cured the disease",
            "gave a vaccine",
        ],
        ["examined the patient's heart", "operated on the knee", "warned of an infection"],
    ),
    "weather": (
        ["The storm", "A cold front", "The forecast", "This winter"],
        ["brought heavy rain", "promises sunshine", "left snow in the valley", "turned to fog", "means strong wind"],
        ["ended in thunder and lightning", "points to frost at night", "covered the sky with clouds"],
    ),
    "business": (
        ["The bank", "A start-up", "The company", "The investor"],
        ["raised its prices", "reported a profit", "sold the shares", "cut a thousand jobs", "signed the merger"],
        ["borrowed money at low interest", "went bankrupt", "paid a dividend"],
    ),
    "travel": (
        ["The tourists", "Our guide", "The passengers", "A backpacker"],
        [
            "missed the flight",
            "booked a hotel",
            "packed the suitcases",
            "visited the old town",
            "waited at the airport",
        ],
        ["lost a passport", "took the ferry to the islands", "admired the view from the beach"],
    ),
}
FRAMES = ["{} {}.", "{} {} on Monday."]


def sentences(held_out: bool) -> list[tuple[str, int]]:
    """Sentences with the number of their topic: those to learn from, or those to be tried on."""
    return [
        (frame.format(who, what), label)
        for label, (people, seen, unseen) in enumerate(TOPICS.values())
        for frame, who, what in product(FRAMES, people, unseen if held_out else seen)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="all-MiniLM-L6-v2, by name or as a folder")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", default="topics", help="where the classifier goes (default: %(default)s)")
    given = parser.parse_args()
    set_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    labels = dict(enumerate(TOPICS))
    model = AutoModelForSequenceClassification.from_pretrained(given.model, id2label=labels)

    def encoded(held_out: bool) -> list[dict[str, Any]]:
        return [{**tokenizer(text), "label": label} for text, label in sentences(held_out)]

    args = TrainingArguments(
        given.out,
        max_steps=given.steps,
        per_device_train_batch_size=16,
        learning_rate=1e-4,
        warmup_ratio=0.1,
        lr_scheduler_type="cosine",
        save_strategy="no",
        logging_steps=20,
    )
    trainer = Trainer(
        model,
        args,
        train_dataset=encoded(held_out=False),
        eval_dataset=encoded(held_out=True),
        processing_class=tokenizer,
        compute_metrics=Accuracy(),
    )
    before = trainer.evaluate()["eval_accuracy"]
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start
    after = trainer.evaluate()["eval_accuracy"]
    trainer.save_model()
    print(f"accuracy on sentences unlike those learnt from: {before:.3f} before, {after:.3f} after {seconds:.0f} s")


if __name__ == "__main__":
    main()
