"""Which tensors of a checkpoint stand for others: codes with their scales, and methods that their names give away."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_SCALE_ENDS = ("_scale_inv", "_scale")
CODES = frozenset({"uint8", "int8", "int16", "int32"})
FP8 = frozenset({"float8_e4m3fn", "float8_e5m2"})

# What a config's quant_method, or the names of tensors, give away.
_METHODS = {
    "gptq": "GPTQ",
    "awq": "AWQ",
    "bitsandbytes": "bitsandbytes",
    "aqlm": "AQLM",
    "hqq": "HQQ",
    "eetq": "EETQ",
    "quanto": "quanto",
    "torchao": "torchao",
    "compressed-tensors": "compressed-tensors",
    "quark": "Quark",
    "auto-round": "AutoRound",
    "vptq": "VPTQ",
    "higgs": "HIGGS",
    "spqr": "SpQR",
    "bitnet": "BitNet",
}
_TELLING = (
    (re.compile(r"\.qweight$"), "GPTQ or AWQ"),
    (re.compile(r"\.(absmax|nested_absmax|quant_map|quant_state\.bitsandbytes__\w+|SCB)$"), "bitsandbytes"),
    (re.compile(r"\.weight_packed$"), "compressed-tensors"),
    (re.compile(r"\.codebooks$"), "AQLM"),
    (re.compile(r"\.W_q$"), "HQQ"),
)


class Pair(NamedTuple):
    """The names of the codes and scales that stand for a tensor, and whether they are MXFP4."""

    codes: str
    scales: str
    is_mxfp4: bool


def pairs(kinds: Mapping[str, str]) -> dict[str, Pair]:
    """Names of quantised tensors to what stands for them, among tensors of the dtypes ``kinds``."""
    found: dict[str, Pair] = {}
    for name, kind in kinds.items():
        if name.endswith("_blocks"):
            scales = name.removesuffix("_blocks") + "_scales"
            if kind == kinds.get(scales) == "uint8":
                found[name.removesuffix("_blocks")] = Pair(name, scales, True)
        elif kind in FP8:
            scale = next((name + end for end in _SCALE_ENDS if name + end in kinds), None)
            if scale is not None:
                found[name] = Pair(name, scale, False)
    return found


def beside(found: Mapping[str, Pair]) -> set[str]:
    """All names that ``found`` leaves nothing to say of: codes, scales, and what was measured for running in FP8."""
    extra = {f"{name.removesuffix('weight')}{end}" for name in found for end in ("input_scale", "activation_scale")}
    return extra | {name for pair in found.values() for name in (pair.codes, pair.scales)}


def unread(kinds: Mapping[str, str], settings: Any, found: Mapping[str, Pair]) -> tuple[str, str] | None:
    """The method by which tensors of the dtypes ``kinds`` were quantised and one of them, if it is one not read.

    ``settings`` is the config's ``quantization_config``, and ``found`` the ``pairs``, which are read.
    """
    method = _METHODS.get(str(settings.get("quant_method")).lower()) if isinstance(settings, Mapping) else None
    taken = beside(found)
    for name, kind in kinds.items():
        what = next((what for pattern, what in _TELLING if pattern.search(name)), None)
        if what is None and method is not None and name not in taken and kind in CODES:
            what = method
        if what is not None:
            return method or what, name
    return None
