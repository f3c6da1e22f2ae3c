"""Mixtral (Jiang et al. 2024, arXiv:2401.04088): Mistral with sparse experts."""

from dataclasses import replace
from typing import Any

from headway import spec
from headway.families import llama, mistral
from headway.layouts import Stacked
from headway.names import Names, Stored, each
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
    expert = spec.GatedMlp(c.intermediate_size, c.hidden_act)
    experts = spec.MixtureOfExperts(expert, c.num_local_experts, spec.SoftmaxRouter(c.num_experts_per_tok))
    attention = replace(llama.attention(c, theta=1e6), bias=False)
    return llama.decoder(c, spec.windowed(llama.layer(c, attention, experts), windows(c)))


EXPERTS: dict[str, str | Stored] = {
    "mlp.router.scores": "mlp.gate",
    **{f"mlp.experts.{{j}}.{x}": f"mlp.experts.{{j}}.{x}_proj" for x in ("gate", "up", "down")},
}


def stacked(count: int, layout: Any = Stacked, biased: bool = False) -> dict[Any, Stored]:
    """Rows of a layer whose experts lie in one tensor, as transformers 5 holds them."""
    rows: dict[Any, Stored] = {}
    for leaf, ending in (("weight", ""), ("bias", "_bias"))[: 1 + biased]:
        gates, ups, downs = ([f"mlp.experts.{j}.{x}.{leaf}" for j in range(count)] for x in ("gate", "up", "down"))
        rows[*gates, *ups] = Stored(f"mlp.experts.gate_up_proj{ending}", layout(2))
        rows[*downs,] = Stored(f"mlp.experts.down_proj{ending}", layout())
    return rows


def sparse_names(c: Any, layer: dict[Any, Any], count: int) -> Names:
    """LLaMA's table with experts one by one and the rows ``layer`` of a layer; files that stack experts load too."""
    table = llama.names(c, llama.LAYER | EXPERTS | layer)
    return replace(table, read=each("layers.{i}", "layers.{i}", stacked(count)))


def names(c: Any) -> Names:
    parts = {"gate": "w1", "up": "w3", "down": "w2"}
    rows: dict[Any, Any] = {f"mlp.experts.{{j}}.{x}": f"block_sparse_moe.experts.{{j}}.{w}" for x, w in parts.items()}
    rows["mlp.router.scores"] = Stored("block_sparse_moe.gate", also=("mlp.gate",))
    return sparse_names(c, rows, c.num_local_experts)


register(Family(MixtralConfig, "Mixtral", architecture, names))
