"""The small model for question-answering: questions about short, made-up facts in a context."""

from __future__ import annotations

import random
import re
from itertools import count
from typing import Any, NamedTuple

import torch
from common import arguments, card, fill, held_out, made_up, save, train, wordpiece, words

from headway import DebertaV2Config, DebertaV2ForQuestionAnswering, Tokenizer, pipeline

DATA = words("question_answering")
NAMES = words("token_classification")
RELATIONS: list[dict[str, Any]] = DATA["relations"]


class Example(NamedTuple):
    """A question, its context, and where the answer is."""

    question: str
    context: str
    start: int
    end: int


def pool(chance: random.Random, new: float) -> dict[str, list[str]]:
    """A few words of each kind to choose from; with the probability ``new`` the names are made up."""
    fresh = chance.random() < new

    def person() -> str:
        if fresh:
            return made_up(chance, 2)
        first = chance.choice(NAMES["first"])
        return first if chance.random() < 0.7 else f"{first} {chance.choice(NAMES['last'])}"

    def company() -> str:
        stem = made_up(chance, 2)
        return stem if chance.random() < 0.5 else f"{stem} {chance.choice(NAMES['kind'])}"

    companies = [company() for _ in range(8)] if fresh else NAMES["organisation"]
    return {
        **{kind: list(some) for kind, some in DATA["words"].items()},
        "country": DATA["country"],
        "per": [person() for _ in range(12)],
        "loc": [made_up(chance, 2) for _ in range(12)] if fresh else NAMES["place"],
        "org": [name.removeprefix("the ") for name in companies],
        "year": [str(chance.randrange(1900, 2030)) for _ in range(9)],
        "age": [str(chance.randrange(3, 99)) for _ in range(9)],
        "price": [f"{chance.randrange(2, 900)} dollars" for _ in range(9)],
    }


def example(chance: random.Random, new: float = 0.3, left_out: bool = False, easy: bool = False) -> Example | None:
    """A question about one of several facts; None where it came out ambiguous."""
    known = pool(chance, new)
    relation = chance.choice([one for one in RELATIONS if not left_out or "left_out" in one])
    asked, slot = chance.choice(relation["left_out" if left_out else "asked"])
    slots = {*re.findall(r"{([\w.]+)}", asked), slot}
    said = chance.choice([text for text in relation["said"] if all(f"{{{name}}}" in text for name in slots)])
    fact, chosen = fill(said, known, chance)
    facts = [fact]
    for _ in range(1 if easy else chance.choice((0, 1, 1, 2, 2, 3))):
        # What was said once is not said again; most of the others are of the same kind, so that names must be compared.
        used = set(chosen.values())
        known = {kind: [word for word in some if word not in used] for kind, some in known.items()}
        other = chance.choice((relation if easy or chance.random() < 0.7 else chance.choice(RELATIONS))["said"])
        same = "per" in chosen and slot != "per" and f"{{{slot}}}" not in other and "{per.2}" not in other
        if same and not easy and chance.random() < 0.7:
            # Another fact about the same person, which answers another question.
            facts.insert(chance.randint(0, len(facts)), fill(other, {**known, "per": [chosen["per"]]}, chance)[0])
        elif not other.startswith(("My name", "I am")):
            text, more = fill(other, known, chance)
            chosen = {**more, **chosen, **{f"{slot}/{len(facts)}": word for slot, word in more.items()}}
            facts.insert(chance.randint(0, len(facts)), text)
    question = re.sub(r"{([\w.]+)}", lambda match: chosen[match.group(1)], asked)
    context, answer = " ".join(facts), chosen[slot].lower()
    start = context.lower().find(answer)
    if context.lower().count(answer) != 1:
        return None
    return Example(question, context, start, start + len(answer))


def examples(chance: random.Random, number: int, kept: bool | None, **how: Any) -> list[Example]:
    """``number`` examples; of those that are kept from training, of the others, or (None) of all."""
    found: list[Example] = []
    while len(found) < number:
        one = example(chance, **how)
        if one is not None and (kept is None or held_out(f"{one.question} {one.context}") == kept):
            found.append(one)
    return found


def small_deberta(tokenizer: Tokenizer) -> DebertaV2ForQuestionAnswering:
    """A DeBERTa: it knows how far apart two tokens are, which takes a small BERT far longer to learn."""
    config = DebertaV2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=tokenizer.model_max_length,
        relative_attention=True,
        max_relative_positions=32,
        position_buckets=-1,
        pos_att_type=["c2p", "p2c"],
        position_biased_input=False,
        share_att_key=True,
        norm_rel_ebd="layer_norm",
        type_vocab_size=2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.05,
    )
    model = DebertaV2ForQuestionAnswering(config)
    # Queries that start out as the keys find the same word elsewhere: a name in the question, the name in the context,
    # if the word's vector is larger than that of the segment, which is another there.
    with torch.no_grad():
        model.base_model.embed.types.weight.normal_(0.0, 0.01)
        for layer in model.base_model.layers:
            layer.attn.k.weight.normal_(0.0, 0.12)
            layer.attn.q.weight.copy_(layer.attn.k.weight)
    return model


def main() -> None:
    chosen = arguments("question-answering", 2400, __doc__, seed=1)
    chance = random.Random(chosen.seed)
    sample = examples(chance, 6000, False, new=0.0)
    tokenizer = wordpiece([f"{one.question} {one.context}" for one in sample], 1200, 128)
    model = small_deberta(tokenizer)

    def batches():  # type: ignore[no-untyped-def]
        for step in count():
            # First two facts of a kind about names that are known, so that comparing names is all there is to learn.
            first = {"easy": True, "new": 0.0} if step < 0.4 * chosen.steps else {}
            batch = examples(chance, 48, False, **first)
            texts = [one.question for one in batch], [one.context for one in batch]
            rows = tokenizer(*texts).encodings
            inputs = tokenizer(*texts, padding=True, return_tensors="pt")
            starts = [row.char_to_token(one.start, 1) for row, one in zip(rows, batch, strict=True)]
            ends = [row.char_to_token(one.end - 1, 1) for row, one in zip(rows, batch, strict=True)]
            yield {**inputs, "start_positions": torch.tensor(starts), "end_positions": torch.tensor(ends)}

    train(model, batches(), chosen.steps)
    answer = pipeline("question-answering", model, tokenizer=tokenizer)

    def exact(cases: list[Example]) -> float:
        answers: Any = answer([{"question": one.question, "context": one.context} for one in cases])
        return sum((a["start"], a["end"]) == one[2:] for a, one in zip(answers, cases, strict=True)) / len(cases)

    metrics = {
        "exact match, new combinations of words": exact(examples(chance, 1000, True)),
        "exact match, made-up names alone": exact(examples(chance, 1000, True, new=1.0)),
        "exact match, questions in words that no training question has": exact(
            examples(chance, 1000, None, left_out=True)
        ),
    }
    what = "It answers a short English question with a part of a context of a few sentences."
    cannot = (
        f"It knows {len(RELATIONS)} kinds of facts, such as who lives where and what costs how much, each in a few "
        "words; to any other question it finds an answer too, and a wrong one."
    )
    text = card("question-answering", what, metrics, cannot, chosen.steps, "question_answering.py")
    save(chosen.out, model, tokenizer, text)


if __name__ == "__main__":
    main()
