"""Weights in int8 and int4: what is lost is bounded, and what is saved comes back to the same bits."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

import headway
from headway import ConfigError, InputError, WeightsError, quantization_error, spec
from headway.models.plan import BASE
from headway.nn import integers
from headway.nn.integers import GROUP, BlockedInt4, OneDnnInt8, TiledInt4
from headway.nn.linear import Embedding, Linear, side_by_side
from headway.nn.mlp import GatedMlp
from headway.nn.quantised import Int4Linear, Int8Linear, QuantisedLinear
from headway.nn.rounded import QuantisedSiblings, RoundedLinear
from headway.quant.convert import quantise, quantised_layers
from small import PAIRS, inputs_for, one_sentence, small_config, small_model

KINDS = ("int8", "int4")
LAYERS = (Int8Linear, Int4Linear)
# Relative errors of the weights of one layer drawn from a normal distribution.
BOUNDS = {Int8Linear: 0.01, Int4Linear: 0.09}
# Every backbone, and one language model of each kind.
CELLS = [pair for pair in PAIRS if pair[1] == BASE] + [
    ("bert", "masked-lm"),
    ("llama", "causal-lm"),
    ("gpt2", "causal-lm"),
    ("t5", "seq2seq-lm"),
    ("vit", "image-classification"),
    ("llama", "sequence-classification"),
]
# Widths of which some are multiples of a group, for layouts that checkpoints have: plain, transposed, fused, stacked.
WIDE: dict[str, dict[str, Any]] = {
    "bert": {"hidden_size": 32, "intermediate_size": 96},
    "gpt2": {"n_embd": 32},
    "llama": {"hidden_size": 64, "head_dim": 16, "intermediate_size": 32},
    "gpt_neox": {"hidden_size": 32, "intermediate_size": 64},
    "gptj": {"n_embd": 32, "rotary_dim": 4},
    "gpt_oss": {"hidden_size": 32, "intermediate_size": 32},
    "mixtral": {"hidden_size": 32, "intermediate_size": 64},
    "t5": {"d_model": 32, "d_ff": 64},
}


@pytest.fixture(params=[True, False], ids=["kernel", "dequantised"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """With this machine's kernels, if it has them, and without."""
    if not request.param:
        for name in ("_int8_works", "_int4_works"):
            monkeypatch.setattr(integers, name, lambda *args: False)
    return bool(request.param)


def layer_of(
    kind: type[QuantisedLinear], out: int = 48, inputs: int = 96, bias: bool = True
) -> tuple[QuantisedLinear, torch.Tensor]:
    generator = torch.Generator().manual_seed(out)
    weight = torch.randn(out, inputs, generator=generator)
    return kind.of(weight, nn.Parameter(torch.randn(out, generator=generator)) if bias else None), weight


def results(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(**inputs_for(model))[0]
    return found


# --- layers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LAYERS)
def test_weights_are_near_and_those_that_can_be_met_are_met(kind: type[QuantisedLinear]) -> None:
    layer, weight = layer_of(kind)
    assert (layer.dequantised() - weight).norm() / weight.norm() < BOUNDS[kind]
    again = kind.of(layer.dequantised(), None)
    assert torch.equal(again.dequantised(), layer.dequantised())
    assert torch.equal(kind.of(torch.zeros(3, GROUP), None).dequantised(), torch.zeros(3, GROUP))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("rows", [0, 1, 3, 32, 200])
@pytest.mark.parametrize("out", [48, 64, 200])
def test_products_are_those_of_the_weights(
    kind: type[QuantisedLinear], dtype: torch.dtype, rows: int, out: int, kernel: bool
) -> None:
    layer, _ = layer_of(kind, out)
    layer.to(dtype)
    assert layer.bias is not None
    x = torch.randn(rows, 2, 96, generator=torch.Generator().manual_seed(1)).to(dtype)
    with torch.no_grad():
        y = layer(x)
    expected = x.float() @ layer.dequantised().t() + layer.bias.float()
    assert y.dtype == dtype
    assert y.shape == (rows, 2, out)
    assert (y.float() - expected).norm() <= 0.012 * expected.norm()


def test_rows_do_not_change_each_other() -> None:
    layer, _ = layer_of(Int8Linear)
    x = torch.randn(40, 96)
    x[1] *= 1e6
    x[2] = 0
    with torch.no_grad():
        together = layer(x)
        assert all(torch.equal(layer(row[None])[0], whole) for row, whole in zip(x, together, strict=True))
    assert layer.bias is not None
    assert torch.equal(together[2], layer.bias)
    with torch.no_grad():
        assert layer(torch.full((1, 96), float("nan"))).isnan().all()


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("out", [48, 64, 200])
def test_running_changes_no_number(kind: type[QuantisedLinear], out: int) -> None:
    layer, _ = layer_of(kind, out)
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    with torch.inference_mode():
        y = layer(torch.ones(1, 96))
    after = layer.state_dict()
    assert {name: tensor.dtype for name, tensor in after.items()} == {name: t.dtype for name, t in before.items()}
    assert all(torch.equal(after[name], before[name]) for name in before)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), layer.to("cpu")):
        with torch.no_grad():
            assert torch.equal(other(torch.ones(1, 96)), y)
    other, _ = layer_of(kind, out + 1)
    same = kind.of(torch.zeros(out, 96), other.bias)
    same.bias = nn.Parameter(torch.zeros(out))
    same.load_state_dict(before)
    with torch.no_grad():
        assert torch.equal(same(torch.ones(1, 96)), y)


@pytest.mark.parametrize("kind", LAYERS)
def test_numbers_that_are_loaded_after_a_run_count(kind: type[QuantisedLinear]) -> None:
    layer, _ = layer_of(kind)
    other = kind.of(torch.randn(48, 96), nn.Parameter(torch.zeros(48)))
    x = torch.randn(2, 96)
    with torch.no_grad():
        before = layer(x)
        layer.load_state_dict(other.state_dict())
        assert torch.equal(layer(x), other(x))
        assert not torch.equal(layer(x), before)


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_reach_input_and_bias(kind: type[QuantisedLinear], kernel: bool) -> None:
    layer, _ = layer_of(kind)
    x = torch.randn(2, 3, 96, requires_grad=True)
    y = layer(x)
    with torch.no_grad():
        assert torch.equal(y, layer(x))
    weigh = torch.randn(y.shape)
    (y * weigh).sum().backward()
    assert layer.bias is not None
    torch.testing.assert_close(x.grad, weigh @ layer.dequantised())
    torch.testing.assert_close(layer.bias.grad, weigh.sum((0, 1)))
    assert [name for name, _ in layer.named_parameters()] == ["bias"]


def test_what_a_layer_keeps_in_memory() -> None:
    for kind, bits in ((Int8Linear, 8.4), (Int4Linear, 5.0)):
        layer, weight = layer_of(kind, 128, 128, bias=False)
        assert sum(t.nbytes for t in layer.state_dict().values()) <= bits / 8 * weight.numel()
        with torch.no_grad():
            layer(torch.ones(1, 128))
        if layer._kernel is not None:
            assert not [t for t in layer._buffers.values() if t is not None]
            assert sum(t.numel() * t.element_size() for t in layer._packed) <= (bits + 0.3) / 8 * weight.numel()


def test_where_there_is_which_kernel() -> None:
    cpu, elsewhere = torch.device("cpu"), torch.device("meta")
    for kind, kernel in ((Int8Linear, OneDnnInt8), (Int4Linear, BlockedInt4)):
        assert isinstance(kind.kernel_on(cpu), kernel | None)
        assert kind.kernel_on(elsewhere) is None
    # A kernel that is not there, or gives something else, is not used.
    assert not integers._int4_works(TiledInt4(), cpu)


class TensorCores:
    """What torch documents of its 4-bit kernel for GPUs, whose order of tiles is its own affair."""

    @staticmethod
    def convert(weight: torch.Tensor, inner: int) -> torch.Tensor:
        assert weight.dtype is torch.uint8
        assert weight.shape[0] % 8 == 0
        assert 2 * weight.shape[1] % (16 * inner) == 0
        return weight.flip(0)

    @staticmethod
    def product(x: torch.Tensor, tiled: torch.Tensor, group: int, pairs: torch.Tensor) -> torch.Tensor:
        assert x.dtype is pairs.dtype is torch.bfloat16
        bytes_ = tiled.flip(0)
        numbers = torch.stack((bytes_ >> 4, bytes_ & 15), -1).flatten(1).float() - 8
        scale, zero = pairs.float().transpose(0, 1).repeat_interleave(group, 1).unbind(-1)
        return (x.float() @ (numbers * scale + zero).t()).bfloat16()


@pytest.mark.parametrize("inputs", [32, 64, 160, 2048])
@pytest.mark.parametrize("outputs", [5, 48])
def test_the_order_of_tensor_cores(inputs: int, outputs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.aten, "_convert_weight_to_int4pack", TensorCores.convert, raising=False)
    monkeypatch.setattr(torch.ops.aten, "_weight_int4pack_mm", TensorCores.product, raising=False)
    kernel = TiledInt4()
    assert integers._int4_works.__wrapped__(kernel, torch.device("cpu"))
    layer, _ = layer_of(Int4Linear, outputs, inputs)
    layer.bfloat16()
    before = {name: tensor.clone() for name, tensor in layer.tensors().items()}
    layer.pack(kernel)
    for rows in (1, 100):
        x = torch.randn(rows, inputs, dtype=torch.bfloat16)
        with torch.no_grad():
            y = layer(x)
        expected = x.float() @ layer.dequantised().t() + layer.bias.float()
        assert (y.float() - expected).norm() <= 0.012 * expected.norm()
    assert all(torch.equal(tensor, before[name]) for name, tensor in layer.tensors().items())
    assert all(torch.equal(tensor, before[name]) for name, tensor in copy.deepcopy(layer).tensors().items())


# --- models -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("model_type", "task"), CELLS)
def test_every_family(model_type: str, task: str, kind: str, tmp_path: Path) -> None:
    """It loads quantised and stays near; saved, it loads to the same bits."""
    model = small_model(model_type, task, **WIDE.get(model_type, {}))
    model.save_pretrained(tmp_path / "whole")
    made = type(model).from_pretrained(tmp_path / "whole", quantize=kind)
    assert made.load_report.clean
    layers = quantised_layers(made)
    if model_type in WIDE:
        assert any(isinstance(layer, Int4Linear) for layer in layers.values()) is (kind == "int4")
    inner = [name for name, module in model.backbone.named_modules() if type(module) is Linear and "layers." in name]
    left = {"gate", "kv_b"}
    assert {f"backbone.{name}" for name in inner if name.rpartition(".")[2] not in left} <= layers.keys()
    assert made.num_parameters() == model.num_parameters()

    with torch.no_grad():
        error = quantization_error(made, model, inputs_for(model))
    assert max(error.weights.values()) < (0.01 if kind == "int8" else 0.13)
    assert error.output is not None
    # Small experts' choices flip; a wrong layout gives an error of one and more.
    assert error.output < (0.15 if kind == "int8" else 0.5)

    made.save_pretrained(tmp_path / "small")
    again = type(model).from_pretrained(tmp_path / "small")
    assert again.load_report.clean
    assert torch.equal(results(again), results(made))
    again.save_pretrained(tmp_path / "again")
    names = ("model.safetensors", "config.json")
    assert all((tmp_path / "small" / n).read_bytes() == (tmp_path / "again" / n).read_bytes() for n in names)


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_small_and_have_the_names_of_the_hub(kind: str, tmp_path: Path) -> None:
    model = small_model("llama", "causal-lm", hidden_size=64, head_dim=16, intermediate_size=128).bfloat16()
    model.config.tie_word_embeddings = False
    whole = sum(t.nbytes for t in model.state_dict().values())
    matrices = sum(p.nbytes for p in model.backbone.layers.parameters() if p.dim() == 2)
    model.quantize(kind).save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    name = "model.layers.0.mlp.gate_proj.weight"
    assert stored[name].dtype == (torch.int8 if kind == "int8" else torch.uint8)
    assert f"{name}_scale" in stored
    assert (f"{name}_zero" in stored) is (kind == "int4")
    assert stored["model.embed_tokens.weight"].dtype == torch.bfloat16
    layers = sum(t.nbytes for key, t in stored.items() if ".layers." in key and "norm" not in key)
    bits = 8.6 if kind == "int8" else 5.1
    assert layers <= bits / 16 * matrices
    assert sum(t.nbytes for t in model.state_dict().values()) < whole
    config = json.loads((tmp_path / "config.json").read_text())
    settings = {"library": "headway", "weights": kind, "output_layer": True}
    assert config["quantization_config"] == settings


def test_another_library_stops_instead_of_taking_numbers_for_weights(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    small_model("llama", "causal-lm").quantize("int8").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="quantization config"):
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path)


def test_dtype_of_the_rest_changes_no_number(tmp_path: Path) -> None:
    small_model("gpt2", "causal-lm", n_embd=32).quantize("int4").save_pretrained(tmp_path)
    one = headway.GPT2LMHeadModel.from_pretrained(tmp_path)
    other = headway.GPT2LMHeadModel.from_pretrained(tmp_path, dtype="bfloat16")
    assert (one.dtype, other.dtype) == (torch.float32, torch.bfloat16)
    for path, layer in quantised_layers(one).items():
        mine = quantised_layers(other)[path].tensors()
        assert all(torch.equal(mine[name], t) and mine[name].dtype == t.dtype for name, t in layer.tensors().items())
    assert (results(other).float() - results(one)).norm() < 0.05 * results(one).norm()


def test_which_output_layers_are_quantised(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tied = small_model("llama", "causal-lm", tie_word_embeddings=True).quantize("int8")
    assert isinstance(tied.get_output_embeddings(), RoundedLinear)
    assert tied.get_output_embeddings().weight is tied.get_input_embeddings().weight
    own = small_model("llama", "causal-lm", tie_word_embeddings=False)
    own.save_pretrained(tmp_path / "own")
    assert isinstance(own.quantize("int4").get_output_embeddings(), Int8Linear)
    own.save_pretrained(tmp_path / "quantised")
    head = headway.LlamaForSequenceClassification.from_pretrained(tmp_path / "quantised")
    assert isinstance(head.head.out, Linear)
    assert set(head.load_report.left_over) == {"lm_head.weight", "lm_head.weight_scale"}
    base = small_model("llama")
    base.save_pretrained(tmp_path / "base")
    new = headway.LlamaForCausalLM.from_pretrained(tmp_path / "base", quantize="int8")
    assert isinstance(new.get_output_embeddings(), Linear)
    new.save_pretrained(tmp_path / "new")
    assert torch.equal(results(headway.LlamaForCausalLM.from_pretrained(tmp_path / "new")), results(new))


@pytest.mark.parametrize("tie", ["gpt2", "t5", "llama"])
def test_a_tied_output_layer_is_rounded_and_saved_as_the_table(tie: str, tmp_path: Path) -> None:
    model = small_model(tie, "seq2seq-lm" if tie == "t5" else "causal-lm", tie_word_embeddings=True)
    table = model.get_input_embeddings().weight.detach().clone()
    expected = results(model.quantize("int8"))
    assert torch.equal(model.get_input_embeddings().weight, table)
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    assert isinstance(loaded.get_output_embeddings(), RoundedLinear)
    for other in (loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.get_output_embeddings().weight is other.get_input_embeddings().weight
        assert torch.equal(other.get_input_embeddings().weight, table)
        assert torch.equal(results(other), expected)


@pytest.mark.parametrize("change", ["in place", "by data", "another"])
def test_a_rounded_layer_follows_its_weight(change: str) -> None:
    torch.manual_seed(0)
    layer = Linear(64, 300)
    for parameter in layer.parameters():
        parameter.data.normal_()
    rounded, x = RoundedLinear.of(layer), torch.randn(3, 64)
    with torch.no_grad():
        assert (rounded(x) - layer(x)).norm() < 0.02 * layer(x).norm()
        if change == "in place":
            layer.weight.mul_(-2)
        elif change == "by data":
            layer.weight.data.mul_(-2)
        else:
            rounded.weight = layer.weight = nn.Parameter(layer.weight * -2)
        assert (rounded(x) - layer(x)).norm() < 0.02 * layer(x).norm()


def test_gradients_of_a_rounded_layer_are_those_of_its_weight() -> None:
    torch.manual_seed(0)
    layer = Linear(64, 300)
    for parameter in layer.parameters():
        parameter.data.normal_()
    rounded, x, to = RoundedLinear.of(layer), torch.randn(2, 3, 64, requires_grad=True), torch.randn(2, 3, 300)
    found = []
    for each in (layer, rounded):
        (each(x) * to).sum().backward()
        found.append([t.grad for t in (x, each.weight, each.bias)])
        x.grad = each.weight.grad = each.bias.grad = None
    torch.testing.assert_close(found[0], found[1])
    with torch.no_grad():
        expected = rounded(x)
    assert torch.equal(rounded(x).detach(), expected)


def test_tables_norms_and_routers_stay() -> None:
    model = small_model("mixtral", "causal-lm").quantize("int8")
    for path, module in model.named_modules():
        if isinstance(module, Embedding) or "router" in path:
            assert not isinstance(module, QuantisedLinear), path
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_in_place_is_as_on_loading(tmp_path: Path) -> None:
    model = small_model("bert", "masked-lm")
    model.save_pretrained(tmp_path)
    results(model)
    assert model.backbone.layers[0].attn.joint is not None
    loaded = type(model).from_pretrained(tmp_path, quantize="int8")
    assert torch.equal(results(model.quantize("int8")), results(loaded))
    assert isinstance(model.backbone.layers[0].attn.joint, QuantisedSiblings)


@pytest.fixture
def gated(kind: str) -> GatedMlp:
    """A channel mixer with two quantised siblings that have biases."""
    torch.manual_seed(0)
    mlp = GatedMlp(spec.GatedMlp(96, "silu", bias=True), 64)
    for parameter in mlp.parameters():
        parameter.data.normal_()
    owner = nn.ModuleDict({"backbone": nn.ModuleDict({"layers": nn.ModuleList([mlp])})})
    quantise(owner, kind)
    return mlp.eval()


def _each(mlp: GatedMlp, x: torch.Tensor) -> list[torch.Tensor]:
    return [copy.deepcopy(layer)(x) for layer in (mlp.gate, mlp.up)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_siblings_are_one_product_with_the_same_numbers(gated: GatedMlp, rows: int) -> None:
    before = {name: tensor.clone() for name, tensor in gated.state_dict().items()}
    x = torch.randn(rows, 64)
    with torch.no_grad():
        expected = _each(gated, x)
        found = side_by_side(gated, x)
    if gated.gate.kernel_on(x.device) is not None:
        assert gated.gate._part is not None
        assert gated.gate.weight is gated.up.weight is gated.gate._kernel is None  # memory holds them once
    for mine, its in zip(found, expected, strict=True):
        assert torch.equal(mine, its)
    assert all(torch.equal(tensor, before[name]) for name, tensor in gated.state_dict().items())
    for name, tensor in copy.deepcopy(gated).state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_go_through_siblings(gated: GatedMlp) -> None:
    x = torch.randn(5, 64, requires_grad=True)
    gradients = []
    for outputs in (side_by_side(gated, x), _each(gated, x)):
        torch.cat(list(outputs), -1).square().sum().backward()
        gradients.append(x.grad)
        x.grad = None
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-4)
    assert gated.gate.bias.grad is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_sibling_that_is_watched_or_replaced_is_run_itself(gated: GatedMlp) -> None:
    x = torch.randn(2, 64)
    with torch.no_grad():
        expected = [part.clone() for part in side_by_side(gated, x)]
        seen: list[torch.Tensor] = []
        handle = gated.gate.register_forward_hook(lambda module, inputs, output: seen.append(output))
        found = side_by_side(gated, x)
        assert len(seen) == 1
        handle.remove()
        gated.up = nn.Linear(64, 96)
        replaced = side_by_side(gated, x)
    assert all(torch.equal(mine, its) for mine, its in zip(found, expected, strict=True))
    assert torch.equal(replaced[0], expected[0])
    torch.testing.assert_close(replaced[1], gated.up(x))


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_text_is_that_of_full_precision_where_margins_are_wide(kind: str) -> None:
    ids = torch.tensor([[5, 6, 7, 8, 9, 10]])
    for seed in range(200):
        torch.manual_seed(seed)
        model = headway.LlamaForCausalLM(
            small_config("llama", hidden_size=64, head_dim=16, intermediate_size=128, initializer_range=0.3)
        ).eval()
        for parameter in model.backbone.layers.parameters():
            parameter.data.mul_(0.5)  # as in trained models, a layer adds a little to what came before
        out = model.generate(ids, max_new_tokens=6, return_dict_in_generate=True, output_scores=True)
        best = torch.stack(out.scores).topk(2, -1).values
        if (best[..., 0] - best[..., 1]).min() > 0.25 * torch.stack(out.scores).std():
            break
    else:
        pytest.fail("no model has wide margins")
    assert torch.equal(model.quantize(kind).generate(ids, max_new_tokens=6), out.sequences)


@pytest.mark.parametrize("kind", KINDS)
def test_cached_decoding_and_padding(kind: str) -> None:
    model = small_model("llama", "causal-lm", **WIDE["llama"]).quantize(kind)
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    padded = torch.tensor([[1, 1, 5, 6, 7, 8, 9], [9, 8, 7, 6, 5, 4, 3]])
    mask = torch.tensor([[0, 0, 1, 1, 1, 1, 1], [1] * 7])
    with torch.no_grad():
        whole = model(ids).logits
        start = model(ids[:, :3], use_cache=True)
        rest = model(ids[:, 3:], past_key_values=start.past_key_values).logits
        beside = model(padded, attention_mask=mask).logits[:1, 2:]
    tolerance = 0.02 * whole.abs().max().item()
    torch.testing.assert_close(torch.cat((start.logits, rest), 1), whole, rtol=0, atol=tolerance)
    torch.testing.assert_close(beside, whole, rtol=0, atol=tolerance)


def test_training_what_is_not_quantised() -> None:
    model = small_model("bert", "sequence-classification").quantize("int8").train()
    model(**inputs_for(model), labels=torch.tensor([0, 1])).loss.backward()
    for name, parameter in model.named_parameters():
        if "pooler" not in name and "position" not in name:
            assert parameter.grad is not None, name
    table = model.get_input_embeddings().weight.grad
    assert table is not None
    assert table.abs().sum() > 0


def test_errors_name_what_to_do(tmp_path: Path) -> None:
    model = small_model("llama", "causal-lm")
    model.save_pretrained(tmp_path / "whole")
    with pytest.raises(InputError, match="Did you mean 'int8'") as error:
        headway.AutoModel.from_pretrained(tmp_path / "whole", quantize="in8")
    one_sentence(error.value)
    with pytest.raises(InputError, match="quantised layers"):
        quantization_error(model, model)
    model.quantize("int8").save_pretrained(tmp_path / "int8")
    for call in (
        lambda: model.quantize("int4"),
        lambda: headway.AutoModelForCausalLM.from_pretrained(tmp_path / "int8", quantize="int4"),
        lambda: quantization_error(model, model),
        lambda: (
            small_model("llama", "causal-lm", tie_word_embeddings=False).quantize("int8").resize_token_embeddings(70)
        ),
    ):
        with pytest.raises(InputError) as error:
            call()
        one_sentence(error.value)
    assert headway.AutoModelForCausalLM.from_pretrained(tmp_path / "int8", quantize="int8") is not None

    path = tmp_path / "int8" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"quantization_config": {"library": "headway", "weights": "int3"}}))
    with pytest.raises(ConfigError, match="Did you mean 'int"):
        headway.AutoModelForCausalLM.from_pretrained(tmp_path / "int8")
    whole = json.loads((tmp_path / "whole" / "config.json").read_text())
    (tmp_path / "whole" / "config.json").write_text(
        json.dumps(whole | {"quantization_config": {"library": "headway", "weights": "int8"}})
    )
    with pytest.raises(WeightsError):
        headway.AutoModelForCausalLM.from_pretrained(tmp_path / "whole")


def test_a_table_may_grow_beside_quantised_layers() -> None:
    model = small_model("llama", "causal-lm", tie_word_embeddings=True).quantize("int8")
    inputs = inputs_for(model)
    with torch.no_grad():
        before = model(**inputs).logits
        model.resize_token_embeddings(70)
        torch.testing.assert_close(model(**inputs).logits[..., :60], before)


def test_a_model_in_full_precision_says_nothing_of_quantising(tmp_path: Path) -> None:
    small_model("bert").quantize("int8").save_pretrained(tmp_path / "int8")
    config = headway.AutoConfig.from_pretrained(tmp_path / "int8")
    headway.BertModel.from_config(config).save_pretrained(tmp_path / "new")
    assert "quantization_config" not in json.loads((tmp_path / "new" / "config.json").read_text())
    headway.BertModel.from_pretrained(tmp_path / "new")


def test_the_report_of_errors_is_readable() -> None:
    model = small_model("llama", "causal-lm", **WIDE["llama"])
    error = quantization_error(copy.deepcopy(model).quantize("int4"), model, inputs_for(model))
    assert error.divergence is not None
    assert error.agreement is not None
    assert error.divergence >= 0
    assert 0 <= error.agreement <= 1
    text = str(error)
    assert "nats" in text
    assert max(error.weights, key=lambda path: error.weights[path]) in text
    assert "nats" not in str(quantization_error(copy.deepcopy(model).quantize("int8"), model))
