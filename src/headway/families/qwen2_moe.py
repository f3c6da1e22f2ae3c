"""Qwen2-MoE (Yang et al. 2024, arXiv:2407.10671): Qwen2 with many small experts beside a gated one for every token."""

from dataclasses import replace
from typing import Any, ClassVar

from headway import spec
from headway.families import llama, mixtral, qwen2
from headway.names import Names
from headway.registry import Family, register
from headway.windows import windows


class SparseConfig(qwen2.Qwen2Config):
    """What Qwen's families with experts have in common."""

    attribute_map: ClassVar[dict[str, str]] = {"num_local_experts": "num_experts"}
    hidden_size: int = 2048
    num_hidden_layers: int = 24
    decoder_sparse_step: int = 1
    mlp_only_layers: list[int] | None = None
    moe_intermediate_size: int = 1408
    num_experts: int = 60
    num_experts_per_tok: int = 4
    norm_topk_prob: bool = False
    output_router_logits: bool = False
    router_aux_loss_coef: float = 0.001


class Qwen2MoeConfig(SparseConfig):
    model_type = "qwen2_moe"
    intermediate_size: int = 5632
    num_attention_heads: int = 16
    num_key_value_heads: int | None = 16
    shared_expert_intermediate_size: int = 5632
    qkv_bias: bool = True


def mlps(c: Any, shared: spec.TokenGatedMlp | None = None) -> list[spec.ChannelMixer]:
    """The channel mixers of all layers: experts, and the plain MLP in those that the config names."""
    dense, expert = (spec.GatedMlp(width, c.hidden_act) for width in (c.intermediate_size, c.moe_intermediate_size))
    router = spec.SoftmaxRouter(c.num_experts_per_tok, c.norm_topk_prob)
    sparse, only = spec.MixtureOfExperts(expert, c.num_experts, router, shared), c.mlp_only_layers or ()
    return [dense if at in only or (at + 1) % c.decoder_sparse_step else sparse for at in range(c.num_hidden_layers)]


def architecture(c: Any) -> spec.Decoder:
    shared = spec.TokenGatedMlp(spec.GatedMlp(c.shared_expert_intermediate_size, c.hidden_act))
    attention = replace(llama.attention(c), bias=c.qkv_bias, out_bias=False)
    layers = spec.windowed(llama.layer(c, attention), windows(c))
    return spec.with_mlps(llama.decoder(c, layers), mlps(c, shared))


def names(c: Any) -> Names:
    shared = {f"mlp.shared.mlp.{x}": f"mlp.shared_expert.{x}_proj" for x in ("gate", "up", "down")}
    return mixtral.sparse_names(c, shared | {"mlp.shared.gate": "mlp.shared_expert_gate"}, c.num_experts)


register(Family(Qwen2MoeConfig, "Qwen2Moe", architecture, names))
