"""llama.cpp's files of GPT-2 and LLaMA: tensors by their names there, and no tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open
from torch import Tensor

TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")


def write_gguf(gguf: Any, folder: Path, file: Path, floats: str) -> None:
    """Write the weights of ``folder``, a GPT-2 or a LLaMA, to ``file``, matrices as ``floats`` (``fp32``, ``bf16``)."""
    config = transformers.AutoConfig.from_pretrained(folder)
    arch = {"gpt2": gguf.MODEL_ARCH.GPT2, "llama": gguf.MODEL_ARCH.LLAMA}[config.model_type]
    writer = gguf.GGUFWriter(file, config.model_type)
    writer.add_file_type({"fp32": gguf.LlamaFileType.ALL_F32, "bf16": gguf.LlamaFileType.MOSTLY_BF16}[floats])
    writer.add_tokenizer_model("none")
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    if config.model_type == "gpt2":
        writer.add_feed_forward_length(4 * config.hidden_size)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
    else:
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_dimension_count(config.head_dim)
        writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    with safe_open(folder / "model.safetensors", "pt") as stored:
        for key in stored.keys():  # noqa: SIM118 - it is no dictionary
            tensor = _in_its_order(key, stored.get_tensor(key), config)
            name = names.get_name(key, (".weight", ".bias"))
            if tensor.dim() == 1 or floats == "fp32" or "position_embd" in name:
                writer.add_tensor(name, tensor.float().numpy())
            else:
                numbers = tensor.bfloat16().contiguous().view(torch.uint8).numpy()
                writer.add_tensor(name, numbers, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _in_its_order(key: str, tensor: Tensor, config: Any) -> Tensor:
    """Matrices as ``[out, in]``, and rotary pairs side by side."""
    if config.model_type == "gpt2":
        return tensor.t().contiguous() if key.endswith(TRANSPOSED) else tensor
    heads = {"q_proj.weight": config.num_attention_heads, "k_proj.weight": config.num_key_value_heads}
    for end, count in heads.items():
        if key.endswith(end):
            return tensor.view(count, 2, -1, tensor.shape[1]).transpose(1, 2).reshape(tensor.shape)
    return tensor
