"""DeepSeek-V3 (DeepSeek-AI 2024, arXiv:2412.19437): DeepSeek-V2 with sigmoid routing among groups of experts."""

from dataclasses import replace
from typing import Any, ClassVar

from headway import spec
from headway.families import deepseek_v2
from headway.names import Names
from headway.registry import Family, register


class DeepseekV3Config(deepseek_v2.DeepseekV2Config):
    model_type = "deepseek_v3"
    attribute_map: ClassVar[dict[str, str]] = {
        "num_local_experts": "n_routed_experts",
        "num_mtp_layers": "num_nextn_predict_layers",
    }
    vocab_size: int = 129280
    hidden_size: int = 7168
    intermediate_size: int = 18432
    num_hidden_layers: int = 61
    num_attention_heads: int = 128
    max_position_embeddings: int = 4096
    first_k_dense_replace: int = 3
    moe_intermediate_size: int = 2048
    n_routed_experts: int = 256
    n_shared_experts: int = 1
    num_experts_per_tok: int | None = 8
    topk_method: str = "noaux_tc"
    n_group: int | None = 8
    topk_group: int | None = 4
    norm_topk_prob: bool = True
    routed_scaling_factor: float = 2.5
    rope_interleave: bool = True
    num_nextn_predict_layers: int = 1
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 1


def architecture(c: Any) -> spec.Decoder:
    groups = spec.Groups(c.n_group or 1, c.topk_group or 1)
    router = spec.SigmoidRouter(c.num_experts_per_tok or 0, c.norm_topk_prob, groups, c.routed_scaling_factor)
    return deepseek_v2.decoder(c, router)


def names(c: Any) -> Names:
    table, first = deepseek_v2.names(c), c.num_hidden_layers
    correction = {"layers.{i}.mlp.router.correction": "layers.{i}.mlp.gate.e_score_correction_bias"}
    # Further layers of a file predict further tokens; they are no part of the model.
    beyond = (f"layers.{at}.*" for at in range(first, first + c.num_nextn_predict_layers))
    return replace(table, backbone={**table.backbone, **correction}, ignore=(*table.ignore, *beyond))


register(Family(DeepseekV3Config, "DeepseekV3", architecture, names))
