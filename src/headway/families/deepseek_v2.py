"""DeepSeek-V2 (DeepSeek-AI 2024, arXiv:2405.04434): latent attention, and many small experts beside shared ones."""

from dataclasses import replace
from typing import Any, ClassVar

from headway import spec
from headway.errors import ConfigError, did_you_mean
from headway.families import llama, mixtral
from headway.layouts import SAME, Interleaved
from headway.names import Names, Stored
from headway.registry import Family, register
from headway.rope import rotary


class DeepseekV2Config(llama.LlamaConfig):
    model_type = "deepseek_v2"
    attribute_map: ClassVar[dict[str, str]] = {"num_experts": "n_routed_experts"}
    vocab_size: int = 102400
    first_k_dense_replace: int = 0
    moe_layer_freq: int = 1
    kv_lora_rank: int = 512
    q_lora_rank: int | None = 1536
    qk_nope_head_dim: int = 128
    qk_rope_head_dim: int = 64
    v_head_dim: int = 128
    moe_intermediate_size: int = 1407
    n_routed_experts: int = 64
    n_shared_experts: int = 2
    num_experts_per_tok: int | None = None
    topk_method: str = "greedy"
    n_group: int | None = None
    topk_group: int | None = None
    routed_scaling_factor: float = 1.0
    output_router_logits: bool = False


def decoder(c: Any, router: spec.Router) -> spec.Decoder:
    rank, queries, norm = c.kv_lora_rank, c.q_lora_rank, spec.RMSNorm(1e-6)
    position, widths = rotary(c, c.qk_rope_head_dim), (c.qk_nope_head_dim, c.v_head_dim)
    mixer = spec.LatentAttention(
        c.num_attention_heads, *widths, rank, position, norm, queries, c.attention_bias, dropout=c.attention_dropout
    )
    dense = spec.GatedMlp(c.intermediate_size, c.hidden_act, c.mlp_bias)
    shared = replace(dense, width=c.moe_intermediate_size * c.n_shared_experts)
    expert = spec.GatedMlp(c.moe_intermediate_size, c.hidden_act)
    sparse = spec.MixtureOfExperts(expert, c.n_routed_experts, router, shared)
    first, every = c.first_k_dense_replace, c.moe_layer_freq
    mlps = (sparse if at >= first and at % every == 0 else dense for at in range(c.num_hidden_layers))
    return llama.decoder(c, tuple(llama.layer(c, mixer, mlp) for mlp in mlps))


def architecture(c: Any) -> spec.Decoder:
    methods = {"greedy": None, "group_limited_greedy": spec.Groups(c.n_group, c.topk_group)}
    if c.topk_method not in methods:
        near = did_you_mean(c.topk_method, methods)
        raise ConfigError(f"topk_method={c.topk_method!r} is unknown.{near} Use {' or '.join(methods)}.")
    groups, top = methods[c.topk_method], c.num_experts_per_tok or 0
    return decoder(c, spec.SoftmaxRouter(top, False, groups=groups, scale=c.routed_scaling_factor))


def names(c: Any) -> Names:
    turned, pairs = c.qk_rope_head_dim, getattr(c, "rope_interleave", True)
    queries, keys = (
        Interleaved(width + turned, turned, width) if pairs else SAME for width in (c.qk_nope_head_dim, c.kv_lora_rank)
    )
    rows = {
        "attn.q": Stored("self_attn.q_proj", queries),
        "attn.q_a": "self_attn.q_a_proj",
        "attn.q_norm": "self_attn.q_a_layernorm",
        "attn.q_b": Stored("self_attn.q_b_proj", queries),
        "attn.kv_a": Stored("self_attn.kv_a_proj_with_mqa", keys),
        "attn.kv_norm": "self_attn.kv_a_layernorm",
        "attn.kv_b": "self_attn.kv_b_proj",
        **{f"mlp.shared.{x}": f"mlp.shared_experts.{x}_proj" for x in ("gate", "up", "down")},
    }
    return mixtral.sparse_names(c, rows, c.n_routed_experts)


register(Family(DeepseekV2Config, "DeepseekV2", architecture, names))
