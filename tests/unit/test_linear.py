"""Small models' linear layers are laid out for speed; nothing else may change by it."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from headway.models.assemble import model_class
from headway.nn import layout
from headway.nn.layout import lay_out
from headway.nn.linear import Joint, Linear
from small import inputs_for, small_config, small_model

FAMILIES = ("bert", "llama", "deberta-v2", "t5")


def made(model_type: str = "bert") -> Any:
    return model_class(model_type, "base").from_config(small_config(model_type)).eval()


def states(model: Any) -> torch.Tensor:
    ids = torch.tensor([[5, 6, 7, 8]])
    inputs = {"input_ids": ids} | ({"decoder_input_ids": ids} if model.config.is_encoder_decoder else {})
    with torch.inference_mode():
        found: torch.Tensor = model(**inputs).last_hidden_state
    return found


def apart(model: Any) -> Any:
    """The same model, computed layer by layer."""
    other = copy.deepcopy(model)
    for module in other.modules():
        if hasattr(module, "joint"):
            module.joint = None
    return other


@pytest.mark.parametrize("model_type", FAMILIES)
def test_one_product_gives_what_several_do(model_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(model_type)
    joints = [module.joint for module in model.modules() if getattr(module, "joint", None) is not None]
    assert joints
    torch.testing.assert_close(states(model), states(apart(model)), rtol=1e-6, atol=1e-6)
    monkeypatch.setattr(layout, "SMALL", 0)
    assert not any(getattr(module, "joint", None) for module in made(model_type).modules())


def test_the_joint_product_is_used_without_gradients_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    model, used = made(), []
    stands = Joint.stands
    monkeypatch.setattr(Joint, "stands", lambda self, owner: used.append(stands(self, owner)) or used[-1])
    states(model)
    assert used == [True, True]
    model(input_ids=torch.tensor([[5, 6]]))
    assert used == [True, True]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_have_a_joint_product_of_their_own(copied: Any) -> None:
    model = made()
    again = copied(model)
    for module in again.modules():
        assert getattr(module, "joint", None) is None or module.joint.stands(module)
    before = states(model)
    with torch.no_grad():
        again.backbone.layers[0].attn.q.weight.mul_(2)
    assert torch.equal(states(model), before)
    assert not torch.equal(states(again), before)


def test_changes_in_place_count() -> None:
    model = made()
    before = states(model)
    with torch.no_grad():
        model.backbone.layers[0].attn.v.weight.mul_(2)
        model.backbone.layers[0].attn.k.bias.add_(1)
    assert not torch.equal(states(model), before)
    torch.testing.assert_close(states(model), states(apart(model)), rtol=1e-6, atol=1e-6)


def replaced(model: Any) -> None:
    model.backbone.layers[0].attn.q.weight = nn.Parameter(torch.randn(16, 16))


def moved(model: Any) -> None:
    model.backbone.layers[0].attn.v.bias.data = torch.randn(16)


def another_layer(model: Any) -> None:
    model.backbone.layers[0].attn.k = nn.Linear(16, 16)


def hooked(model: Any) -> None:
    model.backbone.layers[0].attn.v.register_forward_hook(lambda module, args, out: out + 1)


def another_type(model: Any) -> None:
    model.double()


def copied(model: Any) -> None:
    with torch.no_grad():
        model.backbone.layers[0].attn.q.weight.copy_(torch.randn(16, 16))


@pytest.mark.parametrize("change", [replaced, moved, another_layer, hooked, another_type, copied])
def test_whatever_is_changed_the_result_is_that_of_the_layers(change: Any) -> None:
    model = made()
    change(model)
    torch.testing.assert_close(states(model), states(apart(model)), rtol=1e-6, atol=1e-6)


def test_layout_changes_no_value_and_no_shape() -> None:
    model = made()
    for name, parameter in model.named_parameters():
        parameter.data = parameter.data.clone().contiguous()
        assert parameter.is_contiguous(), name
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    lay_out(model)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]), name
    assert not model.backbone.layers[0].mlp.up.weight.is_contiguous()
    assert model.backbone.embed.tokens.weight.is_contiguous()


@pytest.mark.parametrize("fused", [False, True])
def test_optimizers_find_weights_and_gradients_alike(fused: bool) -> None:
    """A fused optimizer goes through both as they lie in memory."""
    weights = []
    for plain in (False, True):
        model = small_model("bert", "sequence-classification")
        if plain:
            for parameter in model.parameters():
                parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=fused)
        for _ in range(2):
            model(**inputs_for(model), labels=torch.tensor([0, 1])).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        weights.append(model.state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows_first", [True, False])
def test_one_token_in_bfloat16_gives_what_several_do(bias: bool, rows_first: bool) -> None:
    layer = Linear(48, 40, bias)
    with torch.no_grad():
        layer.weight.normal_()
        if bias:
            layer.bias.normal_()
    layer = layer.bfloat16()
    if not rows_first:
        layer.weight.data = layer.weight.data.t().contiguous().t()
    x = torch.randn(2, 3, 48, dtype=torch.bfloat16)
    exact = x.double() @ layer.weight.double().t() + (layer.bias.double() if bias else 0)
    with torch.no_grad():
        for row in range(2):
            for token in range(3):
                found = layer(x[row : row + 1, token : token + 1])
                assert found.shape == (1, 1, 40)
                # Rounded once, at the end.
                torch.testing.assert_close(found[0, 0].double(), exact[row, token], rtol=2**-8, atol=2**-12)


def test_one_token_in_bfloat16_has_a_kernel_of_its_own_without_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Linear(48, 40).bfloat16()
    nn.init.normal_(layer.weight)
    nn.init.zeros_(layer.bias)
    used = []
    addmv = torch.addmv
    monkeypatch.setattr(torch, "addmv", lambda *args: used.append(1) or addmv(*args))
    x = torch.randn(1, 48, dtype=torch.bfloat16)
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    with torch.no_grad():
        layer(x.expand(2, -1))
        with torch.autocast("cpu", torch.bfloat16):
            layer(x)
        assert not used
        layer(x)
    assert used == [1]


def test_bfloat16_lies_output_by_output() -> None:
    model = made().bfloat16()
    lay_out(model)
    assert all(parameter.is_contiguous() for parameter in model.parameters())
    assert model.backbone.layers[0].attn.joint.stands(model.backbone.layers[0].attn)


class Double(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


@pytest.mark.parametrize("name", ["attn.q", "mlp.up", "attn_norm"])
@pytest.mark.parametrize("model_type", ["bert", "llama"])
def test_weights_that_another_module_computes_count(model_type: str, name: str) -> None:
    model, plain = made(model_type), made(model_type)
    plain.load_state_dict(model.state_dict())
    parametrize.register_parametrization(model.backbone.layers[0].get_submodule(name), "weight", Double())
    with torch.no_grad():
        plain.backbone.layers[0].get_submodule(name).weight.mul_(2)
    torch.testing.assert_close(states(model), states(plain), rtol=1e-6, atol=1e-6)
