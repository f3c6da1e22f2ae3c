"""All variants, by family and name: those of every file of this folder."""

from __future__ import annotations

import importlib
import pkgutil

from parity.variants.variant import PLAIN, Variant

__all__ = ["PLAIN", "VARIANTS", "Variant"]

VARIANTS: dict[str, dict[str, Variant]] = {}
for _file in pkgutil.iter_modules(__path__):
    VARIANTS |= getattr(importlib.import_module(f"{__name__}.{_file.name}"), "VARIANTS", {})
