"""What the recipes share: made-up English, a tokenizer, a training loop, and saving with a card.

Each recipe trains the small model of one task, that comes with headway, on sentences that it makes of templates and
word lists: ``python recipes/text_classification.py`` writes it into the package. Same seed, same model.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

import torch
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch.utils.data import IterableDataset

from headway import BertConfig, Tokenizer, Trainer, TrainingArguments

EMBEDDED = Path(__file__).resolve().parents[1] / "src" / "headway" / "embedded"
SPECIAL = {f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep", "mask")}
VOWELS, CONSONANTS = ["a", "e", "i", "o", "u", "ai", "ei"], [*"bdfghjklmnprstvwz", "br", "kr", "st", "th"]
CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'\"()-&$%/"

Made = TypeVar("Made")
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


def distinct(make: Callable[[], Made], count: int, key: Callable[[Made], str], kept: bool) -> list[Made]:
    """``count`` of what ``make`` makes, no two of them with the same ``key``; those kept from training, or the others.

    Fewer where they run out.
    """
    found: dict[str, Made] = {}
    for _ in range(40 * count):
        one = make()
        if held_out(key(one)) == kept:
            found.setdefault(key(one), one)
        if len(found) == count:
            break
    return list(found.values())


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


def sentencepiece(texts: Sequence[str], size: int, max_length: int, whole: Sequence[str] = ()) -> Tokenizer:
    """A tokenizer of T5's kind, of ``size`` pieces, learnt from ``texts``; each of ``whole`` is one token besides."""
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    backend = Backend(models.BPE(unk_token="<unk>", fuse_unk=True))
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
    backend.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(special.values()),
        initial_alphabet=list(CHARACTERS),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    backend.add_tokens(list(whole))
    end = backend.token_to_id("</s>")
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", end)]
    )
    return Tokenizer(tokenizer_object=backend, model_max_length=max_length, **special)


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


class Stream(IterableDataset[dict[str, Any]]):
    """Batches that are made while training, one after the other."""

    def __init__(self, batches: Iterator[dict[str, Any]]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.batches


class Recipe(Trainer):
    """The Trainer, with a loss of the recipe's own where it has one."""

    loss_of: Callable[[Any, dict[str, Any]], torch.Tensor] | None = None

    def compute_loss(self, model: Any, inputs: dict[str, Any], **kwargs: Any) -> Any:
        return super().compute_loss(model, inputs, **kwargs) if self.loss_of is None else self.loss_of(model, inputs)


def train(
    model: torch.nn.Module,
    data: Iterator[dict[str, Any]] | Sequence[dict[str, Any]],
    steps: int,
    collator: Callable[[list[Any]], dict[str, Any]] | None = None,
    *,
    batch: int = 64,
    rate: float = 2e-3,
    smoothing: float = 0.0,
    loss_of: Callable[[Any, dict[str, Any]], torch.Tensor] | None = None,
) -> None:
    """Train on rows, which ``collator`` makes batches of, or on ready batches; the rate falls linearly to zero."""
    rows = collator is not None
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=batch if rows else 1,
            learning_rate=rate,
            weight_decay=0.01,
            adam_beta2=0.98,
            warmup_ratio=0.1,
            label_smoothing_factor=smoothing,
            logging_steps=max(steps // 10, 1),
            save_strategy="no",
            disable_tqdm=True,
            report_to="none",
            use_cpu=True,
            remove_unused_columns=rows,
        )
        trainer = Recipe(
            model,
            arguments,
            train_dataset=data if rows else Stream(iter(data)),
            data_collator=collator or (lambda one: one[0]),
        )
        trainer.loss_of = loss_of
        trainer.train()
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


def save(out: Path, model: Any, reader: Any, card: str) -> None:
    """Write model, tokenizer or image processor, and card.

    Weights take half the room as float16; the config has them loaded as float32.
    """
    model.half().save_pretrained(out)
    config = type(model.config).from_pretrained(out)
    config.dtype = "float32"
    config.save_pretrained(out)
    reader.save_pretrained(out)
    (out / "README.md").write_text(card)
    size = sum(file.stat().st_size for file in out.iterdir()) / 1000
    print(f"{model.num_parameters():,} parameters, {size:.0f} kB in {out}")


MADE_UP = """English sentences that `recipes/{recipe}` makes of templates and word
lists. No text of others is in it."""
HELD_OUT = """Held out are sentences of the same kind that were not trained on: combinations of template and words that
were left out, and what the row says besides. The numbers say nothing of English as people write it."""


def card(
    task: str,
    what: str,
    metrics: Mapping[str, float],
    cannot: str,
    steps: int,
    recipe: str,
    data: str = MADE_UP,
    held_out: str = HELD_OUT,
) -> str:
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
nothing for {steps} steps on one CPU core, on {data.format(recipe=recipe)}

| held out | |
|---|---|
{rows}

{held_out}

{cannot} For work, pass `--model` with a checkpoint that was trained for it.
"""
