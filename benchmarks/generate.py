"""Writing text: the framework's own cost a token on tiny models, decoding, time to the first token, and seq2seq.

    python benchmarks/generate.py [--large]

Random weights: speed does not depend on them. The ids that both libraries write are compared on the way. ``--large``
adds a LLaMA of 1.1 billion parameters in bfloat16.
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any

import torch
import transformers
from common import in_turn, machine, row

import headway

NARROW = {"vocab_size": 1000, "bos_token_id": 1, "eos_token_id": 1}
TINY_GPT2 = {"n_embd": 128, "n_layer": 4, "n_head": 4, **NARROW}
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


def pair(kind: str, config: Any, auto: str, dtype: torch.dtype = torch.float32) -> tuple[Any, Any]:
    """headway's model and the peer's, of the same random weights, with no end of sequence."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        getattr(transformers, kind)(config).to(dtype).save_pretrained(folder)
        theirs = getattr(transformers, auto).from_pretrained(folder, dtype=dtype)
        ours = getattr(headway, auto).from_pretrained(folder, dtype=dtype)
    special = {"pad_token_id": 0, "decoder_start_token_id": 0, "bos_token_id": 0}
    theirs.generation_config = transformers.GenerationConfig(**special)
    ours.generation_config = headway.GenerationConfig(**special)
    return ours, theirs


def compare(name: str, models: tuple[Any, Any], batch: int, prompt: int, new: int, rounds: int, **asked: Any) -> None:
    """Seconds of a call each, and what they come to for a token."""
    ids = torch.randint(5, 900, (batch, prompt), generator=torch.Generator().manual_seed(0))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "max_new_tokens": new, "min_new_tokens": new}
    ours, theirs = models
    same = bool((ours.generate(**inputs, **asked) == theirs.generate(**inputs, **asked)).all())
    seconds = in_turn(lambda: ours.generate(**inputs, **asked), lambda: theirs.generate(**inputs, **asked), rounds)
    row(name, seconds[0] / new, seconds[1] / new, 1e3, "ms/token")
    if not same:
        print("    the ids differ")


@torch.inference_mode()
def main() -> None:
    print(machine())
    tiny = pair("GPT2LMHeadModel", transformers.GPT2Config(**TINY_GPT2), "AutoModelForCausalLM")
    compare("GPT-2, 4 layers, 128 wide", tiny, 1, 8, 200, 7)
    tiny = pair("LlamaForCausalLM", transformers.LlamaConfig(**TINY_LLAMA), "AutoModelForCausalLM")
    compare("LLaMA, 4 layers, 128 wide", tiny, 1, 8, 200, 7)
    gpt2 = pair("GPT2LMHeadModel", transformers.GPT2Config(), "AutoModelForCausalLM")
    compare("GPT-2 124M fp32, prompt 32, batch 1", gpt2, 1, 32, 64, 3)
    compare("GPT-2 124M fp32, prompt 32, batch 8", gpt2, 8, 32, 64, 3)
    gpt2 = pair("GPT2LMHeadModel", transformers.GPT2Config(), "AutoModelForCausalLM", torch.bfloat16)
    compare("GPT-2 124M bf16, prompt 32, batch 1", gpt2, 1, 32, 64, 3)
    compare("GPT-2 124M bf16, prompt 32, batch 8", gpt2, 8, 32, 64, 3)
    t5 = pair("T5ForConditionalGeneration", transformers.T5Config(**T5_SMALL), "AutoModelForSeq2SeqLM")
    for batch in (1, 8):
        compare(f"T5-small fp32, prompt 64, greedy, batch {batch}", t5, batch, 64, 64, 3)
        compare(f"T5-small fp32, prompt 64, 4 beams, batch {batch}", t5, batch, 64, 64, 3, num_beams=4)
    if "--large" in sys.argv:
        config = transformers.LlamaConfig(**LLAMA)
        llama = pair("LlamaForCausalLM", config, "AutoModelForCausalLM", torch.bfloat16)
        for batch in (1, 8):
            compare(f"LLaMA 1.1B bf16, prompt 32, batch {batch}", llama, batch, 32, 64, 3)
        compare("LLaMA 1.1B bf16, first token after 512", llama, 1, 512, 1, 3)


if __name__ == "__main__":
    main()
