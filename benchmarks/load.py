"""Starting up: import times, from_pretrained of BERT-base and GPT-2 sizes, and the memory it peaks at.

    python benchmarks/load.py

Each import runs in a process of its own, and so does the first load of a process, after ``import torch`` and the import
of the library: what a script or a command waits for. Loads are repeated in turn in one process; memory is measured in a
process each.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile

from common import in_turn, machine, row

CONFIGS = {"bert": "BertConfig", "gpt2": "GPT2Config"}


def seconds_of(code: str, after: str = "pass") -> float:
    """Median seconds that ``code`` takes in a fresh process once ``after`` has run."""
    script = f"import time\n{after}\nstart = time.perf_counter()\n{code}\nprint(time.perf_counter() - start)"
    runs = [subprocess.run([sys.executable, "-c", script], capture_output=True, text=True) for _ in range(5)]
    return statistics.median(float(run.stdout.split()[-1]) for run in runs)


def peak(library: str, folder: str) -> float:
    """MB that a load and a forward add to the resident memory of a process, at their peak (Linux)."""
    script = f"""
import re, tempfile
from pathlib import Path
import torch, {library} as library

def resident(field):
    return int(re.search(field + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

small = library.BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
with tempfile.TemporaryDirectory() as warm:
    library.BertModel(small).save_pretrained(warm)
    library.BertModel.from_pretrained(warm)
Path("/proc/self/clear_refs").write_text("5")
before = resident("VmRSS")
model = library.AutoModel.from_pretrained({folder!r})
with torch.inference_mode():
    model(input_ids=torch.ones(1, 8, dtype=torch.long))
print(resident("VmHWM") - before)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return float(run.stdout.split()[-1])


def main() -> None:
    print("imports, each in a process of its own:")
    row("  import (headway; transformers)", seconds_of("import headway"), seconds_of("import transformers"))
    after = "import torch"
    row(
        "  AutoModel, over import torch",
        seconds_of("from headway import AutoModel", after),
        seconds_of(
            "from transformers import AutoModel; AutoModel.from_pretrained; from transformers import BertModel", after
        ),
    )
    import transformers

    import headway

    transformers.logging.disable_progress_bar()
    print(machine())
    for model_type, config in CONFIGS.items():
        with tempfile.TemporaryDirectory() as folder:
            transformers.AutoModel.from_config(getattr(transformers, config)()).save_pretrained(folder)
            seconds = in_turn(
                lambda: headway.AutoModel.from_pretrained(folder),
                lambda: transformers.AutoModel.from_pretrained(folder),
                7,
            )
            row(f"from_pretrained again, {model_type}", *seconds)
            first = [
                seconds_of(f"AutoModel.from_pretrained({folder!r})", f"import torch\nfrom {name} import AutoModel")
                for name in ("headway", "transformers")
            ]
            row(f"from_pretrained, first in a process, {model_type}", *first)
            row(
                f"peak memory of load and a forward, {model_type}",
                peak("headway", folder),
                peak("transformers", folder),
                1,
                "MB",
            )


if __name__ == "__main__":
    main()
