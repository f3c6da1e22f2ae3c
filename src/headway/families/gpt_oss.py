"""gpt-oss (OpenAI 2025, arXiv:2508.10925): attention sinks, every other layer with a window, clamped experts."""

from dataclasses import replace
from typing import Any, ClassVar

from headway import spec
from headway.families import llama, mixtral
from headway.layouts import StackedColumns
from headway.names import Names
from headway.registry import Family, register
from headway.windows import windows


class GptOssConfig(llama.LlamaConfig):
    model_type = "gpt_oss"
    attribute_map: ClassVar[dict[str, str]] = {"num_experts": "num_local_experts"}
    vocab_size: int = 201088
    hidden_size: int = 2880
    intermediate_size: int = 2880
    num_hidden_layers: int = 36
    num_attention_heads: int = 64
    num_key_value_heads: int | None = 8
    head_dim: int | None = 64
    max_position_embeddings: int = 131072
    rms_norm_eps: float = 1e-5
    rope_parameters: dict[str, Any] | None = {  # noqa: RUF012 - configs copy their defaults
        "rope_type": "yarn",
        "rope_theta": 150000.0,
        "factor": 32.0,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "truncate": False,
        "original_max_position_embeddings": 4096,
    }
    attention_bias: bool = True
    sliding_window: int | None = 128
    layer_types: list[str] | None = None
    num_local_experts: int = 128
    num_experts_per_tok: int = 4
    swiglu_alpha: float = 1.702
    swiglu_limit: float = 7.0
    output_router_logits: bool = False
    router_aux_loss_coef: float = 0.001
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None


def architecture(c: Any) -> spec.Decoder:
    expert = spec.ClampedGatedMlp(c.intermediate_size, c.swiglu_alpha, c.swiglu_limit)
    router = spec.SoftmaxRouter(c.num_experts_per_tok, bias=True)
    attention = replace(llama.attention(c, theta=150000.0), sinks=True)
    layer = llama.layer(c, attention, spec.MixtureOfExperts(expert, c.num_local_experts, router))
    return llama.decoder(c, spec.windowed(layer, windows(c, "LG")))


def names(c: Any) -> Names:
    experts = mixtral.stacked(c.num_local_experts, StackedColumns, biased=True)
    own = {"attn.sinks": "self_attn.sinks", "mlp.router.scores": "mlp.router", **experts}
    return llama.names(c, llama.LAYER | own)


register(Family(GptOssConfig, "GptOss", architecture, names))
