"""The small model for text-generation: it goes on with Python, as the standard library is written."""

from __future__ import annotations

import platform
import random
import sysconfig
from math import exp, log
from pathlib import Path
from zlib import crc32

import torch
from common import arguments, card, save, train
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend
from torch.nn import functional as F

from headway import LlamaConfig, LlamaForCausalLM, Tokenizer

WIDTH = 256
END = "<|end|>"
# A line break and its indentation are one piece, so that the depth of a block is one token; words keep a space before.
PIECES = Regex(r"\n+ *| ?[A-Za-z]+| ?[0-9]+|_+| ?[^\sA-Za-z0-9_]+|\s+")
TESTS = {"test", "tests", "idle_test", "idlelib", "lib2to3", "turtledemo", "site-packages", "pydoc_data", "encodings"}


def sources() -> dict[str, str]:
    """The files of the standard library of this Python, by their names, without tests and tables."""
    root = Path(sysconfig.get_path("stdlib"))
    files = (file for file in sorted(root.rglob("*.py")) if not TESTS & set(file.relative_to(root).parts))
    return {str(file.relative_to(root)): file.read_text(encoding="utf-8", errors="replace") for file in files}


def held_out(name: str) -> bool:
    """Is this file kept from training? Decided by its name alone."""
    return crc32(name.encode()) % 100 < 4


def learnt(texts: list[str], size: int) -> Tokenizer:
    """A tokenizer of ``size`` pieces of bytes, learnt from ``texts``."""
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(PIECES, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[END], initial_alphabet=alphabet, show_progress=False, max_token_length=16
    )
    backend.train_from_iterator(texts, trainer)
    return Tokenizer(tokenizer_object=backend, model_max_length=WIDTH, eos_token=END, bos_token=END)


def windows(tokenizer: Tokenizer, texts: list[str], starts: int) -> torch.Tensor:
    """``[windows, WIDTH]`` ids of all ``texts``, one after the other, from the token ``starts`` on."""
    end = tokenizer.eos_token_id
    ids = [id for row in tokenizer(texts, verbose=False)["input_ids"] for id in (end, *row)]
    count = (len(ids) - starts) // WIDTH
    return torch.tensor(ids[starts : starts + count * WIDTH]).view(count, WIDTH)


def main() -> None:
    chosen = arguments("text-generation", 2200, __doc__)
    chance = random.Random(chosen.seed)
    files = sources()
    texts = [text for name, text in files.items() if not held_out(name)]
    tokenizer = learnt(texts, 2048)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=352,
        max_position_embeddings=WIDTH,
        tie_word_embeddings=True,
        initializer_range=0.03,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = LlamaForCausalLM(config)

    def batches():  # type: ignore[no-untyped-def]
        while True:
            # Each time round the windows begin elsewhere.
            rows = windows(tokenizer, texts, chance.randrange(WIDTH))
            for numbers in torch.randperm(len(rows)).split(16):
                yield {"input_ids": rows[numbers], "labels": rows[numbers]}

    train(model, batches(), chosen.steps, rate=3e-3)
    kept = [text for name, text in files.items() if held_out(name)]
    rows = windows(tokenizer, kept, 0)
    losses, right = [], []
    with torch.inference_mode():
        for part in rows.split(32):
            logits, following = model(input_ids=part).logits[:, :-1].flatten(0, 1), part[:, 1:].flatten()
            losses.append(F.cross_entropy(logits, following, reduction="none"))
            right.append((logits.argmax(-1) == following).float())
    loss = float(torch.cat(losses).mean())
    characters = sum(map(len, kept)) / sum(map(len, tokenizer(kept, verbose=False)["input_ids"]))
    metrics = {
        "next tokens that are right, files that were not trained on": float(torch.cat(right).mean()),
        "perplexity per token, the same": exp(loss),
        "bits per character, the same": loss / log(2) / characters,
    }
    what = (
        f"It goes on with Python code. It learned from the {len(texts)} modules of the standard library of Python "
        f"{platform.python_version()} as they lie on every machine, tests left out."
    )
    cannot = (
        "It has learned how Python looks, names and idioms of the standard library, and nothing of what code does; it "
        f"sees {WIDTH} tokens, some twenty lines."
    )
    data = "those modules by `recipes/{recipe}`; they are under the PSF licence."
    kept_out = "Held out are whole modules, chosen by their names."
    text = card("text-generation", what, metrics, cannot, chosen.steps, "text_generation.py", data, kept_out)
    save(chosen.out, model, tokenizer, text)


if __name__ == "__main__":
    main()
