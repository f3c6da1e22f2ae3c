"""Writing text: the framework's own cost a token, decoding, time to the first token, and seq2seq, beside the peers.

    python benchmarks/generate.py [--large] [part of a row's name ...]

Each row is run by every library that is installed (``peers.py`` says how to have them), in turn, each in a process of
its own; the ratio is headway's time over the library's. Weights are random: speed does not depend on them. What the
libraries write is compared on the way. ``--large`` adds a LLaMA of 1.1 billion parameters.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
import transformers
from common import machine
from peers import FLOATS, LOADERS, load_headway
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from workers import Unavailable, Worker

import headway

NARROW = {"vocab_size": 1000, "bos_token_id": 1, "eos_token_id": 2}
TINY_LLAMA = {
    "hidden_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "intermediate_size": 512,
    **NARROW,
}
LLAMA = {
    "vocab_size": 32000,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 22,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
}
T5_SMALL = {"d_model": 512, "d_ff": 2048, "num_layers": 6, "num_heads": 8, "vocab_size": 32128}
# Seconds between two libraries: threads go on looking for more to do for a while.
REST = 0.3
# A model's class and config, and the dtype that it is stored in.
MODELS: dict[str, tuple[str, Any, str]] = {
    "GPT-2 tiny": ("GPT2LMHeadModel", transformers.GPT2Config(n_embd=128, n_layer=4, n_head=4, **NARROW), "fp32"),
    "LLaMA tiny": ("LlamaForCausalLM", transformers.LlamaConfig(**TINY_LLAMA), "fp32"),
    "GPT-2 124M": ("GPT2LMHeadModel", transformers.GPT2Config(), "fp32"),
    "T5-small": ("T5ForConditionalGeneration", transformers.T5Config(**T5_SMALL), "fp32"),
    "LLaMA 1.1B": ("LlamaForCausalLM", transformers.LlamaConfig(**LLAMA), "bf16"),
}


@dataclass(frozen=True)
class Row:
    """What is timed: ``batch`` prompts of ``prompt`` tokens, of which each is given ``new`` tokens by ``beams``."""

    model: str
    weights: str
    batch: int
    prompt: int = 32
    new: int = 64
    beams: int = 1
    rounds: int = 3

    def __str__(self) -> str:
        what = f"{self.new} tokens" if self.new > 1 else "first token"
        how = f", {self.beams} beams" if self.beams > 1 else ""
        return f"{self.model} {self.weights}, {what} after {self.prompt}{how}, batch {self.batch}"


def rows(large: bool) -> Iterator[Row]:
    """The rows, those of the same model and weights one behind the other."""
    for model in ("GPT-2 tiny", "LLaMA tiny"):
        yield Row(model, "fp32", 1, 8, 200, rounds=9)
    for weights in ("fp32", "bf16", "int8"):
        yield from (Row("GPT-2 124M", weights, batch) for batch in (1, 8))
    yield from (Row("T5-small", "fp32", batch, 64, beams=beams) for batch in (1, 8) for beams in (1, 4))
    for weights in ("bf16", "int8", "int4") if large else ():
        yield from (Row("LLaMA 1.1B", weights, batch) for batch in (1, 8))
        yield Row("LLaMA 1.1B", weights, 1, 512, 1)


def store(model: str, room: Path) -> Path:
    """The folder of ``model``, made once, with a tokenizer whose words are numbers: CTranslate2 asks for one."""
    folder = room / model.replace(" ", "-")
    if not folder.exists():
        kind, config, floats = MODELS[model]
        torch.manual_seed(0)
        torch.set_default_dtype(FLOATS[floats])  # so that no larger copy is ever in memory
        try:
            getattr(transformers, kind)(config).save_pretrained(folder, max_shard_size="10GB")
        finally:
            torch.set_default_dtype(torch.float32)
        special = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3}
        words = {**special, **{str(number): number for number in range(len(special), config.vocab_size)}}
        names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
        tokenizer = Tokenizer(WordLevel(words, "<unk>"))
        transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    return folder


def loaded(folder: Path, weights: str, floats: str) -> tuple[dict[str, Worker], list[str]]:
    """The libraries that have such weights, by name, and why others have not."""
    found, absent = {}, []
    for name in LOADERS:
        try:
            found[name] = Worker(name, folder, weights, floats)
        except Unavailable as error:
            absent.append(f"{name}: {error}")
    return found, absent


def compare(row: Row, libraries: dict[str, Worker]) -> None:
    """Print the seconds of a call by each library, headway's over its, and what a row's unit makes of them."""
    ids = torch.randint(5, 900, (row.batch, row.prompt), generator=torch.Generator().manual_seed(0))
    written = {name: write(ids, row.new, row.beams)[1] for name, write in libraries.items()}
    times: dict[str, list[float]] = {name: [] for name in libraries}
    for _ in range(row.rounds):
        for name, write in libraries.items():
            time.sleep(REST)
            times[name].append(write(ids, row.new, row.beams)[0])
    seconds = {name: statistics.median(found) for name, found in times.items()}
    print(row)
    for name, took in seconds.items():
        rate = f"{row.batch * row.new / took:8.1f} tokens/s" if row.new > 1 else " " * 17
        same = (written[name] == written["headway"]).float().mean().item()
        print(
            f"    {name:<13} {took:8.3f} s {1e3 * took / row.new:8.2f} ms/token {rate}"
            + ("" if name == "headway" else f"   ratio {seconds['headway'] / took:5.2f}   same ids {same:4.0%}"),
            flush=True,
        )


def main() -> None:
    large = "--large" in sys.argv
    parts = [argument for argument in sys.argv[1:] if argument != "--large"]
    print(machine())
    asked = [row for row in rows(large) if not parts or any(part in str(row) for part in parts)]
    with tempfile.TemporaryDirectory() as room:
        for (model, weights), group in groupby(asked, lambda row: (row.model, row.weights)):
            folder, floats = store(model, Path(room)), MODELS[model][2]
            libraries, absent = loaded(folder, weights, floats)
            for row in group:
                compare(
                    row, {name: write for name, write in libraries.items() if row.beams == 1 or name != "llama.cpp"}
                )
            if weights not in FLOATS:
                absent.append(f"transformers: {floats} in place of {weights}")
            print("".join(f"    {reason}\n" for reason in absent), end="")
            for worker in libraries.values():
                worker.close()
            if weights not in FLOATS:
                print_error(folder, weights, floats)


@torch.inference_mode()
def print_error(folder: Path, weights: str, floats: str) -> None:
    """How far headway's quantised weights are from those of the file."""
    ours, exact = (load_headway(folder, kind, floats) for kind in (weights, floats))
    ids = torch.randint(5, 900, (1, 32), generator=torch.Generator().manual_seed(0))
    found = headway.quantization_error(ours, exact, {"input_ids": ids})
    mean = sum(found.weights.values()) / len(found.weights)
    print(
        f"    relative error of headway's weights {mean:.4f}, of its logits {found.output:.4f}; the likeliest token is "
        f"the same at {found.agreement:.0%} of 32 places (random weights)"
    )


if __name__ == "__main__":
    main()
