"""Which files of a checkpoint are needed: its weights in one form, and what is beside them."""

import re

from headway.errors import WeightsError
from headway.io.source import Source
from headway.io.stored import shards_of, weights_names

# Weights in all forms, those of other libraries too, and what belongs to them.
_WEIGHTS = re.compile(
    r".+\.(safetensors|bin|pt|pth|ckpt(\..+)?|h5|msgpack|onnx|onnx_data|gguf|ggml|ot|tflite|mlmodel|npz|pkl|pickle)"
    r"|.+\.(safetensors|bin)\.index(\.\w+)?\.json|flax_model\..*|tf_model\..*"
)
# Folders of other libraries' weights, and checkpoints within a run.
_ELSEWHERE = re.compile(r"(onnx|openvino|coreml|original|gguf|tf|flax|runs|checkpoint-\d+|\..*)/.*|\..*")
# The numbered modules of sentence-transformers bring weights of their own.
_MODULE = re.compile(r"\d+_\w+/.+\.safetensors")


def weights_of(source: Source, variant: str | None = None) -> tuple[str, ...]:
    """Return the names of the files that hold the weights of ``source``, and of their index where there is one.

    Raises WeightsError if there are none.
    """
    names = set(source.tree())
    for name in weights_names(source, variant, None):
        if name in names:
            shards = shards_of(source.require(name)).values() if name.endswith(".json") else ()
            return (name, *sorted(set(shards)))
    raise WeightsError(f"{source.name!r} has no weights that headway reads: searched {source.where}.")


def beside_weights(source: Source) -> tuple[str, ...]:
    """Return the names of all files of ``source`` but weights: config, tokenizer, card and the like."""
    return tuple(
        name
        for name in source.tree()
        if _MODULE.fullmatch(name) or not (is_weights(name) or _ELSEWHERE.fullmatch(name))
    )


def is_weights(name: str) -> bool:
    """Return whether a file called ``name`` holds weights, in whatever form, or belongs to some."""
    return _WEIGHTS.fullmatch(name) is not None
