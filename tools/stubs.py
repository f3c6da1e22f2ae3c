"""Write ``src/headway/__init__.pyi``: the names that ``headway`` gives on first use, for editors and type checkers.

python tools/stubs.py
"""

from __future__ import annotations

from pathlib import Path

import headway
from headway.aliases import ALIASES
from headway.models.assemble import model_class
from headway.models.classes import class_names
from headway.onnx.config import onnx_configs
from headway.registry import families

STUB = Path(headway.__file__).with_suffix(".pyi")


def text() -> str:
    """The stub as it should be."""
    lines = ["# Made by tools/stubs.py; a test says when it is out of date.", ""]
    for module, names in sorted(headway._HOMES.items()):
        lines += [f"from {module} import {name} as {name}" for name in sorted(names)]
    lines += [f"from {module} import {own} as {name}" for name, (module, own) in sorted(ALIASES.items())]
    lines += ["from headway import logging as logging"]
    classes = {name: model_class(*key) for name, key in class_names().items()}
    kinds = sorted({(kind.__module__, kind.__name__) for kind in (made.__bases__[0] for made in classes.values())})
    configs = {family.config.__name__: family.config for family in families().values()}
    lines += [f"from {config.__module__} import {name} as {name}" for name, config in sorted(configs.items())]
    lines += [f"from {module} import {name}" for module, name in kinds]
    lines += ["", "__version__: str", ""]
    lines += [f"class {name}({made.__bases__[0].__name__}): ..." for name, made in sorted(classes.items())]
    titles = sorted({family.title for family in families().values()})
    lines += [f"class {title}PreTrainedModel(PreTrainedModel): ..." for title in titles]
    lines += [f"class {name}(OnnxConfig): ..." for name in sorted(onnx_configs())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    STUB.write_text(text())
