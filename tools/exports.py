"""Write ``docs/onnx.md``: which family exports with which head. A small model of each is exported and compared.

python tools/exports.py [results.json]

Takes the better part of an hour. Results are kept in the file as they come, and those in it are not made again.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import date
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from headway import HeadwayError, export_onnx  # noqa: E402
from headway.heads import HEADS  # noqa: E402
from headway.models.plan import canonical_task  # noqa: E402
from headway.registry import find_family  # noqa: E402
from small import PAIRS, small_model  # noqa: E402

PAGE = ROOT / "docs" / "onnx.md"
PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime")
# Language models, also with their past.
WRITING = ("causal-lm", "seq2seq-lm")
COLUMNS = ("base", *HEADS, *(f"{task} with past" for task in WRITING))

BEGINNING = """# ONNX

<!-- Made by tools/exports.py, which exports small models of families with their heads. -->

[Export to ONNX](export.md) shows how; this is what comes of it.

Rows and tokens of a row may be of any number, and padding, which `attention_mask` tells, may stand on either side. Each
graph is compared with the model by onnxruntime at three shapes when it is written; where they differ, nothing is.

- A language model with `with_past=True` takes `past_key_values.{layer}.key` and `.value` of any length, 0 too, and
  gives `present.{layer}.key` and `.value`. `attention_mask` then covers past and new tokens, with padding in front.
- An encoder-decoder that writes is `encoder_model.onnx` and `decoder_model.onnx`. With a past, the encoder gives the
  keys and values that the decoder takes besides, so that they are computed once.
- A mixture of experts runs each expert over the tokens that are its own. Mamba 2 runs a text as one chunk, whose memory
  grows with the square of its length; it keeps a state in place of keys and values and has no graph with a past.
- Quantised layers are not exported, nor is bfloat16 compared.
- A subclass of `OnnxConfig`, such as `BertOnnxConfig`, names other inputs and outputs: `export_onnx(model, folder,
  onnx_config=MyOnnxConfig(model.config, task="multiple-choice"))`.

"""


def cells() -> list[tuple[str, str]]:
    """Families and columns."""
    found = {(name, canonical_task(find_family(name), task)): None for name, task in PAIRS}
    return [*found, *((name, f"{task} with past") for name, task in found if task in WRITING)]


def result(name: str, column: str) -> float | str:
    """The largest difference, or why there is no graph."""
    task, _, past = column.partition(" with ")
    model = small_model(name, task)
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = export_onnx(model, folder, with_past=bool(past)).difference
        except HeadwayError as error:
            # One note serves all classes of which the same is said.
            return str(error).replace(type(model).__name__, "It")
    assert found is not None
    return found


def page(results: dict[str, float | str]) -> str:
    """The page as it should be."""
    known = cells()
    columns = [column for column in COLUMNS if any(column == other for _, other in known)]
    heads = [_title(column) for column in columns]
    names = list(dict.fromkeys(name for name, _ in known))
    lines = ["| family | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    reasons: dict[str, int] = {}
    for name in names:
        marks = []
        for column in columns:
            found = results.get(f"{name}/{column}")
            if isinstance(found, str):
                marks.append(f"[{reasons.setdefault(found, len(reasons) + 1)}]")
            elif found is None:
                marks.append("○" if (name, column) in known else "")
            else:
                marks.append("●")
        lines.append(f"| `{name}` | " + " | ".join(marks) + " |")
    largest = max(found for found in results.values() if not isinstance(found, str))
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    untried = "; ○ was not tried" if len(results) < len(known) else ""
    said = (
        f"Of {date.today():%d %B %Y}, with {versions}. ● is exported, and at most {largest:.0e} from the model as a "
        f"share of its largest value; a number says why there is no graph{untried}.\n\n"
    )
    notes = "".join(f"\n[{number}] {reason}\n" for reason, number in reasons.items())
    return BEGINNING + said + "\n".join(lines) + "\n" + notes


def _title(column: str) -> str:
    task, _, past = column.partition(" with ")
    title = "backbone" if task == "base" else HEADS[task].suffix.removeprefix("For")
    return f"{title}, past" if past else title


if __name__ == "__main__":
    kept = Path(sys.argv[1] if len(sys.argv) > 1 else "exports.json")
    results: dict[str, float | str] = json.loads(kept.read_text()) if kept.exists() else {}
    for name, column in cells():
        key = f"{name}/{column}"
        if key not in results:
            results[key] = result(name, column)
            kept.write_text(json.dumps(results, indent=1))
            print(key, results[key], flush=True)
    PAGE.write_text(page(results))
