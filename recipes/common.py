"""What the recipes share: made-up English, a tokenizer, a training loop, and saving with a card.

Each recipe trains the small model of one task, that comes with headway, on sentences that it makes of templates and
word lists: ``python recipes/text_classification.py`` writes it into the package. Same seed, same model.
"""

from __future__ import annotations

import argparse
import random
import re
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from headway import BertConfig, Tokenizer

EMBEDDED = Path(__file__).resolve().parents[1] / "src" / "headway" / "embedded"
SPECIAL = {f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep", "mask")}
VOWELS, CONSONANTS = ["a", "e", "i", "o", "u", "ai", "ei"], [*"bdfghjklmnprstvwz", "br", "kr", "st", "th"]
CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'\"()-&$%/"

Words = Mapping[str, Sequence[str]]


def words(name: str) -> dict[str, Any]:
    """Templates and word lists of a recipe, from ``words/``."""
    return tomllib.loads((Path(__file__).parent / "words" / f"{name}.toml").read_text())


def arguments(task: str, steps: int, description: str | None, seed: int = 0) -> argparse.Namespace:
    """The command line of a recipe; it also seeds everything and takes one core."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=EMBEDDED / task, help="where to save (default: into the package)")
    parser.add_argument("--steps", type=int, default=steps, help="updates of the weights (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=seed)
    chosen = parser.parse_args()
    random.seed(chosen.seed)
    torch.manual_seed(chosen.seed)
    torch.set_num_threads(1)
    return chosen


# --- sentences ----------------------------------------------------------------------------------------------------


def fill(template: str, words: Words, chance: random.Random) -> tuple[str, dict[str, str]]:
    """A template with words for its slots, and the words; ``{city.2}`` is a second, other word from ``city``."""
    chosen: dict[str, str] = {}
    for slot in re.findall(r"{([\w.]+)}", template):
        if slot not in chosen:
            taken = {word for other, word in chosen.items() if other.split(".")[0] == slot.split(".")[0]}
            chosen[slot] = chance.choice([word for word in words[slot.split(".")[0]] if word not in taken])
    text = re.sub(r"{([\w.]+)}", lambda match: chosen[match.group(1)], template)
    return capital(re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", text)), chosen


def capital(text: str) -> str:
    """``text`` with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def held_out(text: str, share: float = 0.1) -> bool:
    """Is this combination of template and words kept from training? Decided by the text alone."""
    return crc32(text.lower().encode()) % 1000 < 1000 * share


def made_up(chance: random.Random, parts: int) -> str:
    """A name that nobody has, so that a model learns to read what stands around a name."""
    name = "".join(chance.choice(CONSONANTS) + chance.choice(VOWELS) for _ in range(parts))
    return capital(name + chance.choice(["", "", "n", "r", "s", "l", "m"]))


# --- the model ----------------------------------------------------------------------------------------------------


def wordpiece(texts: Sequence[str], size: int, max_length: int, lowercase: bool = True) -> Tokenizer:
    """A tokenizer of BERT's kind with a vocabulary of ``size`` learnt from ``texts``.

    The trainer of the ``tokenizers`` library breaks ties by chance, so the vocabulary is chosen here.
    """
    normalizer, splitter = normalizers.BertNormalizer(lowercase=lowercase), pre_tokenizers.BertPreTokenizer()
    counts = Counter(word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    characters = sorted({character.lower() if lowercase else character for character in CHARACTERS})
    tokens = [*SPECIAL.values(), *characters, *(f"##{character}" for character in characters if character.isalnum())]
    # Frequent words are tokens; the rest of the room is for pieces of up to four characters that the others consist of.
    tokens += [word for word in _best(counts, (size - len(tokens)) * 4 // 5) if word not in tokens]
    pieces: Counter[str] = Counter()
    for word, count in counts.items():
        for start, length in product(range(len(word)), (2, 3, 4)) if word not in tokens else ():
            if start + length <= len(word):
                pieces[f"{'##' if start else ''}{word[start : start + length]}"] += count * (length - 1)
    tokens += [piece for piece in _best(pieces, size) if piece not in tokens][: size - len(tokens)]
    backend = Backend(models.WordPiece({token: id for id, token in enumerate(tokens)}, unk_token="[UNK]"))
    backend.normalizer, backend.pre_tokenizer, backend.decoder = normalizer, splitter, decoders.WordPiece()
    backend.add_special_tokens(list(SPECIAL.values()))
    ids = {token: backend.token_to_id(token) for token in ("[CLS]", "[SEP]")}
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=list(ids.items())
    )
    return Tokenizer(
        tokenizer_object=backend,
        model_max_length=max_length,
        do_lower_case=lowercase,
        tokenizer_class="BertTokenizer",
        **SPECIAL,
    )


def _best(counts: Counter[str], number: int) -> list[str]:
    return sorted(counts, key=lambda key: (-counts[key], key))[:number]


def small(tokenizer: Tokenizer, layers: int = 2, width: int = 64, **fields: Any) -> BertConfig:
    """The config of a BERT small enough to come with the package."""
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * width,
        max_position_embeddings=tokenizer.model_max_length,
        initializer_range=0.05,
        hidden_dropout_prob=0.05,
        attention_probs_dropout_prob=0.0,
        **fields,
    )


def train(
    model: torch.nn.Module,
    batches: Iterator[dict[str, Any]],
    steps: int,
    loss_of: Callable[[Any, dict[str, Any]], torch.Tensor] | None = None,
    rate: float = 2e-3,
) -> None:
    """Plain training: AdamW, a tenth of the steps to warm up, then linearly to zero."""
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}], lr=rate, betas=(0.9, 0.98)
    )
    warm = max(steps // 10, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, (steps - step) / max(steps - warm, 1))
    )
    model.train()
    started, total = time.monotonic(), 0.0
    for step in range(1, steps + 1):
        batch = next(batches)
        loss = model(**batch).loss if loss_of is None else loss_of(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        total += loss.item()
        if step % max(steps // 10, 1) == 0:
            mean = total / max(steps // 10, 1)
            print(f"step {step:5d}  loss {mean:.4f}  {time.monotonic() - started:.0f} s", flush=True)
            total = 0.0
    model.eval()


def shuffled(items: Sequence[Any], size: int, chance: random.Random) -> Iterator[list[Any]]:
    """Batches of ``size``, for ever, in a new order each time round."""
    while True:
        order = list(items)
        chance.shuffle(order)
        for start in range(0, len(order) - size + 1, size):
            yield order[start : start + size]


def padded(rows: Sequence[Sequence[int]], fill_with: int) -> torch.Tensor:
    """Rows of numbers as one tensor ``[rows, longest]``."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[fill_with] * (width - len(row))] for row in rows])


# --- saving -------------------------------------------------------------------------------------------------------


def save(out: Path, model: Any, tokenizer: Tokenizer, card: str) -> None:
    """Write model, tokenizer and card. Weights take half the room as float16; the config has them loaded as float32."""
    model.half().save_pretrained(out)
    config = type(model.config).from_pretrained(out)
    config.dtype = "float32"
    config.save_pretrained(out)
    tokenizer.save_pretrained(out)
    (out / "README.md").write_text(card)
    size = sum(file.stat().st_size for file in out.iterdir()) / 1000
    print(f"{model.num_parameters():,} parameters, {size:.0f} kB in {out}")


def card(task: str, what: str, metrics: Mapping[str, float], cannot: str, steps: int, recipe: str) -> str:
    """The model card."""
    rows = "\n".join(f"| {name} | {value:.3f} |" for name, value in metrics.items())
    for name, value in metrics.items():
        print(f"{name}: {value:.3f}")
    return f"""---
license: apache-2.0
language: en
library_name: headway
pipeline_tag: {task}
---

# A toy for {task}

{what}

It comes with headway so that `headway run {task}` works offline at once. It is a toy: a tiny network, trained from
nothing for {steps} steps on one CPU core, on English sentences that `recipes/{recipe}` makes of templates and word
lists. No text of others is in it.

| held out | |
|---|---|
{rows}

Held out are sentences of the same kind that were not trained on: combinations of template and words that were left
out, and what the row says besides. The numbers say nothing of English as people write it.

{cannot} For work, pass `--model` with a checkpoint that was trained on real text.
"""
