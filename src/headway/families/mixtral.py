"""Mixtral (Jiang et al. 2024, arXiv:2401.04088): Mistral with sparse experts."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.families import llama, mistral
from headway.names import Names
from headway.registry import Family, register
from headway.windows import windows


class MixtralConfig(mistral.MistralConfig):
    model_type = "mixtral"
    rms_norm_eps: float = 1e-5
    sliding_window: int | None = None
    num_experts_per_tok: int = 2
    num_local_experts: int = 8
    output_router_logits: bool = False
    router_aux_loss_coef: float = 0.001


def architecture(c: Any) -> spec.Decoder:
    experts = spec.MixtureOfExperts(
        spec.GatedMlp(c.intermediate_size, c.hidden_act), c.num_local_experts, c.num_experts_per_tok
    )
    attention = replace(llama.attention(c, theta=1e6), bias=False)
    return llama.decoder(c, spec.windowed(llama.layer(c, attention, experts), windows(c)))


def names(c: Any) -> Names:
    expert = "block_sparse_moe.experts.{j}"
    return llama.names(
        c,
        {
            **llama.LAYER,
            "mlp.router": "block_sparse_moe.gate",
            "mlp.experts.{j}.gate": f"{expert}.w1",
            "mlp.experts.{j}.up": f"{expert}.w3",
            "mlp.experts.{j}.down": f"{expert}.w2",
        },
    )


register(Family(MixtralConfig, "Mixtral", architecture, names))
