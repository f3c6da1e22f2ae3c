"""Write ``docs/families.md``: what a user of each family can do. Needs transformers, to tell what is headway's alone.

python tools/families.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from headway import spec
from headway.models.classes import class_name
from headway.models.plan import tasks_of
from headway.registry import Family, families
from headway.tasks import TASKS

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from parity.oracle import MAPPINGS  # noqa: E402

PAGE = ROOT / "docs" / "families.md"

BEGINNING = """# Families and heads

<!-- Made by tools/families.py; a test says when it is out of date. -->

Every row is a `model_type` of `config.json`, every column a head: `AutoModelFor...`, or the class that the table below
names. ● is a head that transformers has too, and the parity suite compares the two; ○ is headway's alone. `AutoModel`
gives the bare backbone of every family. Whatever has a CausalLM or Seq2SeqLM head writes text with `generate`.
"""

CLASSES = """
## Classes

| family | described in | classes |
|---|---|---|
"""


def kind_of(family: Family) -> str:
    """What sort of backbone the family has by default."""
    backbone = family.architecture(family.config())
    names = {
        spec.Encoder: "encoder",
        spec.Decoder: "decoder",
        spec.EncoderDecoder: "encoder-decoder",
        spec.VisionEncoder: "vision",
    }
    return names.get(type(backbone), "text and vision")


def described(family: Family) -> str:
    """The first line of the family's file."""
    said = sys.modules[family.architecture.__module__].__doc__ or ""
    if family.config.__module__ != family.architecture.__module__:
        said = sys.modules[family.config.__module__].__doc__ or ""
    return said.strip().partition("\n")[0].rstrip(".")


def page() -> str:
    """The page as it should be."""
    takes = {name: tasks_of(family) for name, family in families().items()}
    heads = [head for head in TASKS if any(head in taken for taken in takes.values())]
    lines = ["| family | kind | " + " | ".join(TASKS[head].suffix.removeprefix("For") for head in heads) + " |"]
    lines += ["|---|---|" + "---|" * len(heads)]
    for name, taken in takes.items():
        marks = ["" if head not in taken else "●" if name in MAPPINGS.get(head, {}) else "○" for head in heads]
        lines.append(f"| `{name}` | {kind_of(families()[name])} | " + " | ".join(marks) + " |")
    rows = []
    for name, family in families().items():
        classes = ", ".join(dict.fromkeys(f"`{class_name(family, task)}`" for task in ("base", *takes[name])))
        rows.append(f"| `{name}` | {described(family)} | {classes} |")
    return BEGINNING + "\n" + "\n".join(lines) + "\n" + CLASSES + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
