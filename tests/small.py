"""Small configs and models of every registered family, for tests that need one and do not care which weights it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from headway.config import PreTrainedConfig
from headway.generation.config import GenerationConfig
from headway.models.assemble import model_class
from headway.models.plan import BASE, tasks_of
from headway.registry import families
from headway.tasks import TEXT

# Small values for the fields that configs have, whatever the family.
FIELDS: dict[str, Any] = {
    "vocab_size": 60,
    **dict.fromkeys(("hidden_size", "d_model", "dim", "n_embd"), 16),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "n_layer", "num_layers", "encoder_layers", "decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_heads", "n_head", "num_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("intermediate_size", "hidden_dim", "d_ff", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim"), 24),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), 20),
    "num_key_value_heads": 2,
    **dict.fromkeys(("d_kv", "head_dim"), 4),
    "embedding_size": 8,
    "rotary_dim": 2,
    "attention_types": [[["global", "local"], 1]],
    "window_size": 3,
    **dict.fromkeys(("num_local_experts", "num_experts"), 3),
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 6,
    "shared_expert_intermediate_size": 8,
    "n_group": 2,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "kv_lora_rank": 6,
    "q_lora_rank": 5,
    "qk_nope_head_dim": 3,
    "qk_rope_head_dim": 4,
    "v_head_dim": 2,
    "projection_dim": 12,
    "state_size": 6,
    "n_groups": 2,
    "expand": 1,
    "chunk_size": 4,
    "image_size": 8,
    "patch_size": 4,
    "pad_token_id": 1,
    "eos_token_id": 2,
    **dict.fromkeys(("bos_token_id", "decoder_start_token_id"), 3),
}
# Families whose default config leaves out parameters that their checkpoints have.
EXTRA: dict[str, dict[str, Any]] = {
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 4},
}
# Set only where a family's default is a number.
OPTIONAL = ("embedding_size", "head_dim")
# The families whose backbones read text and nothing else.
READERS = [name for name, family in families().items() if isinstance(family.architecture(family.config()), TEXT)]
# Families that write, and their heads for it.
WRITERS = [
    *(("gpt2", "causal-lm"), ("llama", "causal-lm"), ("mistral", "causal-lm"), ("mixtral", "causal-lm")),
    *(("t5", "seq2seq-lm"), ("bart", "seq2seq-lm")),
]
PAIRS = [(name, task) for name, family in families().items() for task in (BASE, *tasks_of(family))]


def small_config(model_type: str, **overrides: Any) -> Any:
    """A config of ``model_type`` for a model of a few thousand parameters."""
    family = families()[model_type]
    fields = family.config._fields
    values = {name: value for name, value in FIELDS.items() if name in fields and name not in OPTIONAL}
    values |= {name: FIELDS[name] for name in OPTIONAL if fields.get(name)}
    for name, default in fields.items():
        if isinstance(default, PreTrainedConfig):
            values[name] = small_config(default.model_type)
    return family.config(**{**values, **EXTRA.get(model_type, {}), **overrides})


def small_model(model_type: str, task: str = BASE, **overrides: Any) -> Any:
    """A small model in evaluation mode, every parameter drawn: defaults of one and zero hide bugs."""
    model = model_class(model_type, task)(small_config(model_type, **overrides)).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(0.2 * torch.randn(tensor.shape, generator=generator) + (tensor.dim() == 1))
    return model


def writer(model_type: str, task: str = "causal-lm", seed: int = 1, **values: Any) -> Any:
    """A small model whose choices are clear: every parameter drawn wide."""
    options = {"sliding_window": 4} if model_type in ("mistral", "mixtral") else {}
    model = small_model(model_type, task, **options, **{"max_position_embeddings": 128, **values})
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter + 0.3 * torch.randn(parameter.shape, generator=generator))
    special = {"pad_token_id": 1, "bos_token_id": 3, "eos_token_id": 2, "decoder_start_token_id": 3}
    model.generation_config = GenerationConfig(**special)
    return model


def small_checkpoint(folder: Path, model_type: str, task: str = BASE, **overrides: Any) -> Path:
    """The folder ``folder`` with a small model saved in it."""
    small_model(model_type, task, **overrides).save_pretrained(folder)
    return folder


def inputs_for(model: Any, rows: int = 2, width: int = 6) -> dict[str, torch.Tensor]:
    """Inputs that ``model`` takes, without padding; rows end in the end-of-sequence token."""
    generator = torch.Generator().manual_seed(2)
    images = {}
    if not isinstance(model.plan.backbone, TEXT):
        size = getattr(model.config, "vision_config", model.config).image_size
        images = {"pixel_values": torch.randn(rows, 3, size, size, generator=generator)}
        if model.main_input_name == "pixel_values":
            return images
    shape = (rows, 2, width) if model.task == "multiple-choice" else (rows, width)
    ids = torch.randint(5, model.config.get_text_config().vocab_size, shape, generator=generator)
    ids[..., -1] = 2
    needs_decoder = model.task == "seq2seq-lm"
    return {"input_ids": ids, **images, **({"decoder_input_ids": ids[:, :3]} if needs_decoder else {})}


def one_sentence(error: BaseException) -> str:
    """The message, checked to be one paragraph that ends as a sentence does."""
    text = str(error)
    assert "\n" not in text, text
    assert text.endswith((".", "?")), text
    return text


def same_state(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    """Do two modules hold equal tensors under equal names?"""
    one, other = a.state_dict(), b.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
