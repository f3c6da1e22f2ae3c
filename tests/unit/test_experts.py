"""Sparse experts and latent attention: routers are what their formulas say, and files keep what routing needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from headway import AutoModelForCausalLM, Cache, spec
from headway.errors import ConfigError
from headway.nn.batch import Batch
from headway.nn.builders import build
from headway.nn.kernels import eager
from headway.nn.run import Run
from small import one_sentence, small_checkpoint, small_config, small_model

COUNT, WIDTH, TOKENS = 8, 5, 14
EXPERT = spec.GatedMlp(6, "silu")
SOFTMAX = [
    spec.SoftmaxRouter(2),
    spec.SoftmaxRouter(1),
    spec.SoftmaxRouter(8),
    spec.SoftmaxRouter(3, renormalise=False, scale=2.5),
    spec.SoftmaxRouter(2, bias=True),
    spec.SoftmaxRouter(2, False, groups=spec.Groups(4, 2), scale=1.5),
    spec.SoftmaxRouter(2, groups=spec.Groups(2, 1)),
]
SIGMOID = [
    spec.SigmoidRouter(2),
    spec.SigmoidRouter(3, renormalise=False, scale=2.5),
    spec.SigmoidRouter(2, groups=spec.Groups(4, 2)),
    spec.SigmoidRouter(8, groups=spec.Groups(8, 8), scale=0.5),
]


def drawn(module: Any) -> Any:
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.normal_()
    return module


def chosen_by_hand(router: spec.Router, logits: Tensor, correction: Tensor | None) -> dict[int, float]:
    """The experts of one token and their weights, step by step."""
    if isinstance(router, spec.SoftmaxRouter):
        likely = ranks = logits.softmax(-1)
    else:
        likely = logits.sigmoid()
        ranks = likely + correction
    numbers = list(range(COUNT))
    if router.groups is not None:
        size = COUNT // router.groups.count
        count = 1 if isinstance(router, spec.SoftmaxRouter) else 2
        groups = [numbers[at : at + size] for at in range(0, COUNT, size)]
        groups.sort(key=lambda group: -sum(sorted((float(ranks[i]) for i in group), reverse=True)[:count]))
        numbers = [number for group in groups[: router.groups.top] for number in group]
    best = sorted(numbers, key=lambda i: -float(ranks[i]))[: router.top]
    total = sum(float(likely[i]) for i in best) if router.renormalise else 1.0
    return {i: float(likely[i]) / total * router.scale for i in best}


@pytest.mark.parametrize("router", [*SOFTMAX, *SIGMOID], ids=str)
@torch.no_grad()
def test_a_router(router: spec.Router) -> None:
    module = drawn(build(router, WIDTH, COUNT))
    x = torch.randn(TOKENS, WIDTH)
    logits, weights, chosen = module(x)
    torch.testing.assert_close(logits, torch.nn.functional.linear(x, module.scores.weight, module.scores.bias))
    for at in range(TOKENS):
        expected = chosen_by_hand(router, logits[at], getattr(module, "correction", None))
        found = dict(zip(chosen[at].tolist(), weights[at].tolist(), strict=True))
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("router", [SOFTMAX[0], SOFTMAX[3], SIGMOID[2]], ids=str)
@pytest.mark.parametrize("shared", [None, EXPERT, spec.TokenGatedMlp(EXPERT)], ids=["none", "added", "gated"])
def test_a_mixture_of_experts(router: spec.Router, shared: Any) -> None:
    moe = drawn(build(spec.MixtureOfExperts(EXPERT, COUNT, router, shared), WIDTH))
    x = torch.randn(2, 7, WIDTH)
    run = Run(Batch(2, 7, torch.device("cpu")), eager)
    run.trace.router = []
    with torch.no_grad():
        out = moe(x, run)
    _, weights, chosen = moe.router(x.flatten(0, 1))
    for at, token in enumerate(x.flatten(0, 1)):
        expected = sum(w * moe.experts[i](token) for w, i in zip(weights[at], chosen[at].tolist(), strict=True))
        if isinstance(shared, spec.TokenGatedMlp):
            expected = expected + (moe.shared.gate.weight @ token).sigmoid() * moe.shared.mlp(token)
        elif shared is not None:
            expected = expected + moe.shared(token)
        torch.testing.assert_close(out.flatten(0, 1)[at], expected, rtol=1e-4, atol=1e-5)
    assert run.trace.router[0].shape == (TOKENS, COUNT)


def test_idle_experts_have_gradients_of_zero() -> None:
    """Every process of a training run has a gradient for every parameter, wherever its tokens went."""
    moe = drawn(build(spec.MixtureOfExperts(EXPERT, COUNT, SOFTMAX[1]), WIDTH))
    run = Run(Batch(1, 1, torch.device("cpu")), eager)
    moe(torch.randn(1, 1, WIDTH), run).sum().backward()
    idle = [expert for expert in moe.experts if not expert.gate.weight.grad.any()]
    assert len(idle) == COUNT - 1


def test_a_clamped_expert() -> None:
    mlp = drawn(build(spec.ClampedGatedMlp(6, alpha=1.3, limit=0.4), WIDTH))
    x = torch.randn(TOKENS, WIDTH)
    gate, up = mlp.gate(x).clamp(max=0.4), mlp.up(x).clamp(-0.4, 0.4)
    torch.testing.assert_close(mlp(x), mlp.down((up + 1) * gate * torch.sigmoid(1.3 * gate)))


@pytest.mark.parametrize(
    ("router", "said"),
    [
        (spec.SoftmaxRouter(9), "9 of 8 experts"),
        (spec.SoftmaxRouter(0), "0 of 8 experts"),
        (spec.SigmoidRouter(2, groups=spec.Groups(3, 1)), "3 equal groups"),
        (spec.SigmoidRouter(2, groups=spec.Groups(4, 5)), "5 are open"),
        (spec.SoftmaxRouter(3, groups=spec.Groups(4, 1)), "2 experts in open groups"),
    ],
    ids=str,
)
def test_routers_that_cannot_choose(router: spec.Router, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        build(router, WIDTH, COUNT)
    one_sentence(caught.value)


def test_an_unknown_method_of_choice() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'greedy'") as caught:
        small_model("deepseek_v2", topk_method="gredy")
    one_sentence(caught.value)


# --- what routing needs of files ----------------------------------------------------------------------------------


def test_the_correction_stays_in_float32(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path / "one", "deepseek_v3", "causal-lm")
    name = "backbone.layers.1.mlp.router.correction"
    exact = small_model("deepseek_v3", "causal-lm").state_dict()[name]
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype="bfloat16")
    assert loaded.dtype == torch.bfloat16
    for model in (loaded, loaded.to(torch.float16), loaded.half().bfloat16()):
        assert torch.equal(model.state_dict()[name], exact)
    loaded.save_pretrained(tmp_path / "two")
    saved = load_file(tmp_path / "two" / "model.safetensors")
    assert saved["model.layers.1.mlp.gate.e_score_correction_bias"].dtype == torch.float32
    assert saved["model.layers.1.mlp.gate.weight"].dtype == torch.bfloat16
    assert loaded(input_ids=torch.tensor([[5, 6]])).logits.dtype == torch.bfloat16


def test_a_model_that_is_made_anew_has_no_correction() -> None:
    model = AutoModelForCausalLM.from_config(small_config("deepseek_v3"))
    assert not model.state_dict()["backbone.layers.1.mlp.router.correction"].any()


def test_layers_beyond_the_models_are_ignored(tmp_path: Path) -> None:
    """They predict further tokens, and stand in the file as layers after the last."""
    folder = small_checkpoint(tmp_path, "deepseek_v3", "causal-lm")
    tensors = load_file(folder / "model.safetensors")
    beyond = {"enorm.weight": WIDTH, "mlp.experts.0.gate_proj.weight": 6, "shared_head.head.weight": 9}
    more = {f"model.layers.2.{name}": torch.ones(size) for name, size in beyond.items()}
    save_file(tensors | more, folder / "model.safetensors", {"format": "pt"})
    report = AutoModelForCausalLM.from_pretrained(folder).load_report
    assert report.clean
    assert report.ignored == tuple(sorted(more))


# --- latent attention ---------------------------------------------------------------------------------------------


def test_a_cache_holds_vectors_and_rotary_keys() -> None:
    model = small_model("deepseek_v3", "causal-lm")
    c, ids = model.config, torch.randint(5, 60, (2, 7))
    cache = model(input_ids=ids, use_cache=True).past_key_values
    assert isinstance(cache, Cache)
    keys, values = cache[0]
    assert (keys.shape, values.shape) == ((2, 1, 7, c.qk_rope_head_dim), (2, 1, 7, c.kv_lora_rank))


@torch.no_grad()
def test_a_step_heeds_what_is_put_around_a_layer() -> None:
    """What an adapter or a hook adds to a layer counts in every way of computing attention."""
    model = small_model("deepseek_v2", "causal-lm")
    ids = torch.randint(5, 60, (2, 7))
    for layer in model.backbone.layers:
        layer.attn.kv_b.register_forward_hook(lambda module, inputs, output: 2 * output)
    whole = model(input_ids=ids).logits
    cache = model(input_ids=ids[:, :6], use_cache=True).past_key_values
    step = model(input_ids=ids[:, 6:], past_key_values=cache).logits
    torch.testing.assert_close(step, whole[:, 6:], rtol=1e-4, atol=1e-5)
