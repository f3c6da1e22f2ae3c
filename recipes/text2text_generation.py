"""The small model for text2text-generation, translation and summarization: German, or headlines."""

from __future__ import annotations

import random
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import torch
from common import arguments, capital, card, distinct, fill, padded, save, sentencepiece, train
from german import DATA, Pair, names, phrase, sentence, translated

from headway import MarianConfig, MarianMTModel, pipeline

TRANSLATE, SUMMARIZE = "translate English to German: ", "summarize: "


def report(chance: random.Random) -> Pair:
    """A short report and its headline."""
    reports = DATA["reports"]
    happened, ended = chance.choice(reports["happened"]), chance.choice(reports["outcome"])
    (first, gist), (end, short) = happened.split("|"), ended.split("|")
    text, _ = fill(f"{first}|{gist}", {**reports["slots"], **names(chance)}, chance)
    first, gist = text.split("|")
    rest = [end, *chance.sample(reports["besides"], chance.randint(0, 4))]
    chance.shuffle(rest)
    return SUMMARIZE + " ".join([capital(first), *rest]), capital(gist) + (f", {short}." if short else ".")


def batches(rows: list[dict[str, Any]], tokens: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Batches of about as many ``tokens``, for ever; their sources are of one length, so that none is padded."""
    lengths: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        lengths.setdefault(len(row["input_ids"]), []).append(row)
    while True:
        found: list[list[dict[str, Any]]] = []
        for length, group in lengths.items():
            chance.shuffle(group)
            count = max(tokens // length, 1)
            found += [group[start : start + count] for start in range(0, len(group), count)]
        chance.shuffle(found)
        for batch in found:
            labels = padded([row["labels"] for row in batch], -100)
            yield {"input_ids": torch.tensor([row["input_ids"] for row in batch]), "labels": labels}


def main() -> None:
    chosen = arguments("text2text-generation", 5000, __doc__)
    chance = random.Random(chosen.seed)

    def german(make: Any) -> Pair:
        english, translation = translated(make, chance)
        return TRANSLATE + english, translation

    def sentences(count: int, kept: bool) -> list[Pair]:
        return distinct(lambda: german(sentence), count, itemgetter(1), kept)

    def reports(count: int, kept: bool) -> list[Pair]:
        return distinct(lambda: report(chance), count, itemgetter(1), kept)

    # The phrase book is learnt by heart, so none of it is held out.
    phrases = [german(phrase) for _ in range(15000)]
    examples = sentences(60000, False) + reports(20000, False) + phrases
    prefixes = [TRANSLATE.strip(), SUMMARIZE.strip()]
    tokenizer = sentencepiece([side for pair in examples for side in pair], 1600, 128, prefixes)
    config = MarianConfig(
        vocab_size=len(tokenizer),
        d_model=128,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=256,
        decoder_ffn_dim=256,
        dropout=0.05,
        max_position_embeddings=tokenizer.model_max_length,
        # Tokens weigh as much as their positions from the first step on, which is what makes copying easy to learn.
        scale_embedding=True,
        init_std=128**-0.5,
        decoder_start_token_id=tokenizer.pad_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        forced_eos_token_id=None,
        task_specific_params={
            "translation_en_to_de": {"prefix": TRANSLATE, "max_length": 60},
            "translation": {"prefix": TRANSLATE, "max_length": 60},
            "summarization": {"prefix": SUMMARIZE, "max_length": 60},
        },
    )
    model = MarianMTModel(config)
    sources, targets = (tokenizer([pair[side] for pair in examples])["input_ids"] for side in (0, 1))
    rows = [{"input_ids": one, "labels": two} for one, two in zip(sources, targets, strict=True)]
    train(model, batches(rows, 1200, chance), chosen.steps, rate=3e-3)
    write = pipeline("text2text-generation", model, tokenizer=tokenizer)

    def exact(cases: list[Pair]) -> float:
        answers = write([source for source, _ in cases], max_new_tokens=60)
        return sum(a["generated_text"] == target for a, (_, target) in zip(answers, cases, strict=True)) / len(cases)

    metrics = {
        "translations that are right word for word, new sentences": exact(sentences(500, True)),
        "headlines that are right word for word, new reports": exact(reports(200, True)),
    }
    what = (
        f'It goes on from a prefix as T5 does: "{TRANSLATE}" a sentence or two, or "{SUMMARIZE}" a report of a few '
        "sentences, of which it writes a headline."
    )
    cannot = (
        f"It knows about {len(DATA['things'])} things, {len(DATA['verbs'])} verbs and {len(DATA['phrases'])} phrases "
        'of a phrase book, says "du" to everybody, and makes headlines of what newspapers report of towns; of other '
        "words it writes something that looks like German, and names that it has not seen it may misspell."
    )
    text = card("text2text-generation", what, metrics, cannot, chosen.steps, "text2text_generation.py")
    save(chosen.out, model, tokenizer, text)


if __name__ == "__main__":
    main()
