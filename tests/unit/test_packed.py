"""Linear layers of large models run with packed weights; nothing else may change by it."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from headway.models.assemble import model_class
from headway.nn import layout, packed
from headway.nn.linear import Linear
from headway.nn.packed import LEAST_ROWS, Packed
from small import small_config

if not packed._kernels():  # pragma: no cover
    pytest.skip("oneDNN has no kernels here", allow_module_level=True)

FAMILIES = ("bert", "gpt2", "llama", "deberta-v2", "t5")
IDS = torch.tensor([[5, 6, 7, 8], [6, 5, 9, 7]])


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SMALL", 0)
    monkeypatch.setattr(packed, "LEAST_NUMBERS", 0)


def loaded(folder: Path, model_type: str = "bert", dtype: torch.dtype = torch.float32) -> Any:
    torch.manual_seed(0)
    kind = model_class(model_type, "base")
    if not folder.joinpath("config.json").exists():
        kind.from_config(small_config(model_type)).to(dtype).save_pretrained(folder)
    return kind.from_pretrained(folder)


def states(model: Any) -> torch.Tensor:
    inputs = {"input_ids": IDS} | ({"decoder_input_ids": IDS} if model.config.is_encoder_decoder else {})
    with torch.no_grad():
        found: torch.Tensor = model(**inputs).last_hidden_state
    return found


def products(model: Any) -> list[Packed]:
    """The products that were packed."""
    single = [getattr(m, "packed", None) for m in model.modules()]
    joint = [getattr(getattr(m, "joint", None), "_packed", None) for m in model.modules()]
    return [product for product in (*single, *joint) if product is not None and product._parts]


def packed_model(folder: Path, model_type: str = "bert") -> Any:
    model = loaded(folder, model_type)
    for _ in range(2):
        states(model)
    assert products(model)
    return model


def plain(model: Any) -> Any:
    """The same model without packed weights."""
    found = copy.deepcopy(model)
    assert not products(found)
    return found


@pytest.mark.parametrize("model_type", FAMILIES)
@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.bfloat16, 5e-2)])
def test_packed_weights_give_what_the_plain_ones_do(
    model_type: str, dtype: torch.dtype, close: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dtype not in packed._kernels():
        pytest.skip("no kernel")
    monkeypatch.setattr(packed, "PART", 1024)  # weights in several parts too
    model = loaded(tmp_path, model_type, dtype)
    for _ in range(3):
        found = states(model)
    assert any(len(product._parts) > 1 for product in products(model))
    torch.testing.assert_close(found, states(plain(model)), rtol=close, atol=close)


def test_what_is_saved_and_held_is_as_it_was(tmp_path: Path) -> None:
    model = loaded(tmp_path / "one")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for _ in range(2):
        states(model)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    model.save_pretrained(tmp_path / "two")
    one, two = (tmp_path.joinpath(name, "model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two


def test_gradients_are_those_of_the_plain_weights(tmp_path: Path) -> None:
    model = packed_model(tmp_path)
    other = plain(model)
    for each in (model, other):
        each(input_ids=IDS).last_hidden_state.square().sum().backward()
    for (name, one), two in zip(model.named_parameters(), other.parameters(), strict=True):
        assert (one.grad is None) == (two.grad is None), name
        assert one.grad is None or torch.equal(one.grad, two.grad), name


def in_place(model: Any) -> None:
    with torch.no_grad():
        model.backbone.layers[0].attn.v.weight.mul_(50)


def by_data(model: Any) -> None:
    model.backbone.layers[0].mlp.up.weight.data *= 50


def replaced(model: Any) -> None:
    torch.manual_seed(0)
    up = model.backbone.layers[0].mlp.up
    up.weight = nn.Parameter(torch.randn_like(up.weight))


def bias(model: Any) -> None:
    model.backbone.layers[0].attn.v.bias.data += 1


def hooked(model: Any) -> None:
    model.backbone.layers[0].attn.v.register_forward_hook(lambda module, args, out: out + 1)


def stepped(model: Any) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(input_ids=IDS).last_hidden_state.square().sum().backward()
    optimizer.step()


def of_another_type(model: Any) -> None:
    model.double()


def restored(model: Any) -> None:
    model.load_state_dict({name: tensor + 1 for name, tensor in model.state_dict().items()})


@pytest.mark.parametrize(
    "change", [in_place, by_data, replaced, bias, hooked, stepped, of_another_type, restored], ids=lambda f: f.__name__
)
def test_whatever_is_changed_the_result_is_that_of_the_parameters(change: Any, tmp_path: Path) -> None:
    model = packed_model(tmp_path)
    before = states(model)
    change(model)
    after = states(model)
    assert after.dtype != before.dtype or not torch.allclose(before, after, atol=1e-3)
    torch.testing.assert_close(after, states(plain(model)), rtol=1e-5, atol=1e-5)


def test_quantised_weights_are_made_of_the_parameters(tmp_path: Path) -> None:
    model = packed_model(tmp_path, "llama")
    other = plain(model)
    for each in (model, other):
        each.quantize("int8")
    torch.testing.assert_close(states(model), states(other), rtol=1e-5, atol=1e-5)


def test_autocast_has_the_last_word(tmp_path: Path) -> None:
    layer = packed_model(tmp_path).backbone.layers[0].mlp.up
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(4, layer.in_features)).dtype == torch.bfloat16


def test_a_prompt_before_single_rows_packs_nothing(tmp_path: Path) -> None:
    layer = loaded(tmp_path).backbone.layers[0].mlp.up
    with torch.no_grad():
        for _ in range(3):
            layer(torch.randn(1, 8, layer.in_features))
            layer(torch.randn(1, LEAST_ROWS[torch.float32] - 1, layer.in_features))
            assert not layer.packed._parts
        for _ in range(2):
            layer(torch.randn(1, LEAST_ROWS[torch.float32], layer.in_features))
    assert layer.packed._parts


def test_weights_that_lie_in_no_file_are_left_alone() -> None:
    model = model_class("bert", "base").from_config(small_config("bert"))
    assert all(m.packed is None for m in model.modules() if isinstance(m, Linear))


def test_a_model_that_was_loaded_in_inference_mode_is_as_any_other(tmp_path: Path) -> None:
    with torch.inference_mode():
        model = packed_model(tmp_path)
    model(input_ids=IDS).last_hidden_state.sum().backward()
    assert model.backbone.layers[0].mlp.up.weight.grad is not None
