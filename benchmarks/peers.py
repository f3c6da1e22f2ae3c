"""Libraries that write text, each loaded from the same folder and called in the same way.

A loader takes a folder in the hub's format, a kind of weights (``fp32``, ``bf16``, ``int8`` or ``int4``), and the
floats that whole numbers are made from and go with (``fp32`` or ``bf16``). It returns a function from ids
``[rows, width]``, a count of new tokens and one of beams to the new ids ``[rows, new]``. Where the library is not
installed or has no such thing, it raises ``Unavailable``; transformers, which has no whole numbers on a CPU without
further libraries, runs the floats in their place. CTranslate2 and llama.cpp are no dependency of anything here:

    pip install ctranslate2
    pip install llama-cpp-python gguf    # built from source: a C++ compiler and some minutes

On a processor with AMX llama.cpp (0.3.36) ends in a fault where weights are quantised, unless it is built without it:

    CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX512=ON -DGGML_AVX512_VBMI=ON -DGGML_AVX512_VNNI=ON -DGGML_AVX512_BF16=ON"
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from ggufs import write_gguf
from torch import Tensor
from workers import Unavailable

import headway

Write = Callable[[Tensor, int, int], Tensor]
FLOATS = {"fp32": torch.float32, "bf16": torch.bfloat16}
SPECIAL = {"pad_token_id": 0, "decoder_start_token_id": 0, "bos_token_id": 0}


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Unavailable("not installed") from None


def _auto(folder: Path) -> str:
    is_t5 = transformers.AutoConfig.from_pretrained(folder).is_encoder_decoder
    return "AutoModelForSeq2SeqLM" if is_t5 else "AutoModelForCausalLM"


def _write(model: Any, ids: Tensor, new: int, beams: int) -> Tensor:
    """By ``generate`` of headway or transformers."""
    asked = {"attention_mask": torch.ones_like(ids), "max_new_tokens": new, "min_new_tokens": new}
    with torch.inference_mode():
        found: Tensor = model.generate(input_ids=ids, num_beams=beams, **asked)[:, -new:]
    return found


def load_headway(folder: Path, weights: str, floats: str) -> Any:
    """The model itself."""
    asked = {} if weights in FLOATS else {"quantize": weights}
    dtype = FLOATS.get(weights, FLOATS[floats])
    model = getattr(headway, _auto(folder)).from_pretrained(folder, dtype=dtype, **asked)
    model.generation_config = headway.GenerationConfig(**SPECIAL)
    return model


def of_headway(folder: Path, weights: str, floats: str) -> Write:
    return partial(_write, load_headway(folder, weights, floats))


def of_transformers(folder: Path, weights: str, floats: str) -> Write:
    dtype = FLOATS.get(weights, FLOATS[floats])
    model = getattr(transformers, _auto(folder)).from_pretrained(folder, dtype=dtype)
    model.generation_config = transformers.GenerationConfig(**SPECIAL)
    return partial(_write, model)


def of_ctranslate2(folder: Path, weights: str, floats: str) -> Write:
    library = _module("ctranslate2")
    kind = {"fp32": "float32", "bf16": "bfloat16", "int8": "int8"}.get(weights)
    if kind not in library.get_supported_compute_types("cpu"):
        raise Unavailable(f"no {weights} on this machine")
    out = folder.with_name(f"{folder.name}-ct2-{weights}")
    if not out.exists():
        library.converters.TransformersConverter(str(folder)).convert(str(out), quantization=kind)
    many = {"intra_threads": torch.get_num_threads(), "compute_type": kind}
    tokens = _tokens(folder)
    if (out / "shared_vocabulary.json").exists():
        model = library.Translator(str(out), **many)

        def translate(ids: Tensor, new: int, beams: int) -> Tensor:
            texts = [[tokens[i] for i in row] for row in ids.tolist()]
            # Of the decoder's tokens the end is not counted, which the shortest length forbids.
            found = model.translate_batch(texts, beam_size=beams, min_decoding_length=new, max_decoding_length=new)
            return torch.tensor([[tokens.index(token) for token in one.hypotheses[0]] for one in found])

        return translate
    model = library.Generator(str(out), **many)

    def write(ids: Tensor, new: int, beams: int) -> Tensor:
        texts = [[tokens[i] for i in row] for row in ids.tolist()]
        asked = {"beam_size": beams, "include_prompt_in_result": False, "min_length": new, "max_length": new}
        return torch.tensor([one.sequences_ids[0] for one in model.generate_batch(texts, **asked)])

    return write


def _tokens(folder: Path) -> list[str]:
    known = transformers.AutoTokenizer.from_pretrained(folder).get_vocab()
    return sorted(known, key=known.__getitem__)


class LlamaCpp:
    """llama.cpp's own calls: what its Python class adds to each token would be counted as its own."""

    def __init__(self, library: Any, file: Path) -> None:
        self.library = library
        self.model = library.llama_model_load_from_file(str(file).encode(), library.llama_model_default_params())
        self.vocabulary = library.llama_vocab_n_tokens(library.llama_model_get_vocab(self.model))

    def __call__(self, ids: Tensor, new: int, beams: int) -> Tensor:
        if beams > 1:
            raise Unavailable("no beams")
        lib, (rows, width) = self.library, ids.shape
        settings = lib.llama_context_default_params()
        settings.n_ctx, settings.n_batch, settings.n_seq_max = rows * (width + new), rows * width, rows
        settings.kv_unified = True
        settings.n_threads = settings.n_threads_batch = torch.get_num_threads()
        context = lib.llama_init_from_model(self.model, settings)
        batch = lib.llama_batch_init(rows * width, 0, 1)
        written, at = [], 0
        try:
            for _ in range(new):
                count = ids.shape[1]
                self._fill(batch, ids, at)
                if lib.llama_decode(context, batch):
                    raise RuntimeError("llama.cpp could not run this batch")
                last = [
                    np.ctypeslib.as_array(lib.llama_get_logits_ith(context, (row + 1) * count - 1), (self.vocabulary,))
                    for row in range(rows)
                ]
                at, ids = at + count, torch.tensor([[int(scores.argmax())] for scores in last])
                written.append(ids)
        finally:
            lib.llama_batch_free(batch)
            lib.llama_free(context)
        return torch.cat(written, 1)

    @staticmethod
    def _fill(batch: Any, ids: Tensor, at: int) -> None:
        rows, count = ids.shape
        batch.n_tokens = rows * count
        for row, tokens in enumerate(ids.tolist()):
            for column, token in enumerate(tokens):
                place = row * count + column
                batch.token[place], batch.pos[place] = token, at + column
                batch.n_seq_id[place], batch.seq_id[place][0] = 1, row
                batch.logits[place] = column == count - 1

    def __del__(self) -> None:
        self.library.llama_model_free(self.model)


@cache
def _llama_cpp() -> tuple[Any, Any]:
    """The library, with nothing to say, and what holds it so."""
    library = _module("llama_cpp")
    library.llama_backend_init()
    silent = library.llama_log_callback(lambda level, text, data: None)
    library.llama_log_set(silent, None)
    return library, silent


def of_llama_cpp(folder: Path, weights: str, floats: str) -> Write:
    (library, _), gguf = _llama_cpp(), _module("gguf")
    if _auto(folder) != "AutoModelForCausalLM":
        raise Unavailable("no T5 is written to its files here")
    floats = weights if weights in FLOATS else floats
    full = folder.with_name(f"{folder.name}-{floats}.gguf")
    if not full.exists():
        write_gguf(gguf, folder, full, floats)
    if weights in FLOATS:
        return LlamaCpp(library, full)
    file = folder.with_name(f"{folder.name}-{weights}.gguf")
    if not file.exists():
        settings = library.llama_model_quantize_default_params()
        settings.ftype = {"int8": library.LLAMA_FTYPE_MOSTLY_Q8_0, "int4": library.LLAMA_FTYPE_MOSTLY_Q4_0}[weights]
        library.llama_model_quantize(str(full).encode(), str(file).encode(), settings)
    return LlamaCpp(library, file)


LOADERS: dict[str, Callable[[Path, str, str], Write]] = {
    "headway": of_headway,
    "transformers": of_transformers,
    "CTranslate2": of_ctranslate2,
    "llama.cpp": of_llama_cpp,
}
