"""Qwen3-MoE (Yang et al. 2025, arXiv:2505.09388): Qwen3 with the experts of Qwen2-MoE, none of them shared."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.families import qwen2_moe, qwen3
from headway.names import Names, each
from headway.registry import Family, register


class Qwen3MoeConfig(qwen2_moe.SparseConfig):
    model_type = "qwen3_moe"
    intermediate_size: int = 6144
    num_key_value_heads: int | None = 4
    max_window_layers: int = 0
    attention_bias: bool = False
    moe_intermediate_size: int = 768
    num_experts: int = 128
    num_experts_per_tok: int = 8


def architecture(c: Any) -> spec.Decoder:
    return spec.with_mlps(qwen3.architecture(c), qwen2_moe.mlps(c))


def names(c: Any) -> Names:
    table = qwen2_moe.names(c)
    rows = {**table.backbone, **each("layers.{i}", "layers.{i}", qwen3.NORMS)}
    return replace(table, backbone=rows, prefixes={"question-answering": "transformer"})


register(Family(Qwen3MoeConfig, "Qwen3Moe", architecture, names))
