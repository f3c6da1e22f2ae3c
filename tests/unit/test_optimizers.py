"""Optimizers over groups of a model's parameters: which decay, which are slower, which stay; Lion and Muon."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import headway
from headway.errors import InputError
from headway.training.optimizers import OPTIMIZERS, make_optimizer
from headway.training.parameters import parameter_groups, trained
from small import inputs_for, one_sentence, small_model


def arguments(**values: Any) -> Any:
    defaults = {
        "optim": "adamw_torch",
        "optim_args": None,
        "learning_rate": 0.01,
        "weight_decay": 0.1,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
        "layer_decay": 1.0,
    }
    return SimpleNamespace(**{**defaults, **values})


def classifier(model_type: str = "bert") -> Any:
    return small_model(model_type, "sequence-classification")


def grouped(model: Any, **values: Any) -> dict[str, dict[str, Any]]:
    """The group of each parameter by name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, trained(model), 1.0, 0.1, **values)
    found = [(names[id(parameter)], group) for group in groups for parameter in group["params"]]
    assert len(found) == len(dict(found)) == len(trained(model)), "each parameter is in one group"
    return dict(found)


def train(model: Any, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    losses = []
    inputs = {**inputs_for(model), "labels": torch.tensor([0, 1])}
    for _ in range(steps):
        loss = model(**inputs).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# --- groups ----------------------------------------------------------------------------------------------------------


def test_matrices_and_tables_decay_and_nothing_else() -> None:
    found = grouped(classifier())
    decayed = {name for name, group in found.items() if group["weight_decay"]}
    assert {"backbone.embed.tokens.weight", "backbone.layers.0.attn.q.weight"} <= decayed
    assert not [name for name in decayed if "norm" in name or name.endswith("bias")]
    assert {name for name in found if name not in decayed and not name.endswith("bias")} == {
        name for name in found if name.endswith("norm.weight")
    }


def test_the_same_parameters_decay_as_in_transformers() -> None:
    pytest.importorskip("transformers")
    from transformers import BertConfig, BertForSequenceClassification, Trainer

    from headway.models.load import slots

    model = classifier()
    other = BertForSequenceClassification(BertConfig(**model.config.to_dict()))
    stored = {name: slot.place.stored for name, slot in slots(model, model.parts()).items()}
    mine = {stored[name] for name, group in grouped(model).items() if group["weight_decay"]}
    assert mine == set(Trainer.get_decay_parameter_names(None, other))


@pytest.mark.parametrize("model_type", ["bert", "llama", "t5", "albert", "modernbert"])
def test_lower_layers_are_slower(model_type: str) -> None:
    model = classifier(model_type)
    rates = {name: group["lr"] for name, group in grouped(model, layer_decay=0.5).items()}
    for name, rate in rates.items():
        if name.startswith("head."):
            assert rate == 1.0
        elif ".layers." in name:
            count = len({other.split(".layers.")[1].split(".")[0] for other in rates if ".layers." in other})
            assert rate == 0.5 ** (count - int(name.split(".layers.")[1].split(".")[0])), name
        elif "tokens" in name:
            assert rate == min(rates.values()) < 0.5


def test_rates_by_layer_need_layers() -> None:
    with pytest.raises(InputError, match="has no stack of layers"):
        parameter_groups(torch.nn.Linear(2, 2), trained(torch.nn.Linear(2, 2)), 1.0, 0.0, 0.9)


# --- freezing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "frozen"),
    [
        (("backbone",), "backbone."),
        (("bert",), "backbone."),
        (("bert.encoder.layer.0",), "backbone.layers.0."),
        (("backbone.layers.[0].*",), "backbone.layers.0."),
        (("backbone.embed", "bert.encoder"), ("backbone.embed.", "backbone.layers.")),
    ],
)
def test_parameters_are_frozen_by_either_name(patterns: tuple[str, ...], frozen: Any) -> None:
    model = classifier()
    names = headway.freeze(model, *patterns)
    assert set(names) == {name for name, _ in model.named_parameters() if name.startswith(frozen)}
    before = copy.deepcopy(model.state_dict())
    train(model, make_optimizer(model, arguments()), 2)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) == (name in names), name


def test_a_name_that_is_none_is_told_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        headway.freeze(classifier(), "bert.encoder.layers.0")
    assert "Did you mean 'bert.encoder.layer.0'?" in one_sentence(caught.value)


def test_nothing_to_train_is_an_error() -> None:
    model = classifier()
    headway.freeze(model, "*")
    with pytest.raises(InputError, match="nothing to train"):
        make_optimizer(model, arguments())


# --- optimizers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns_and_goes_on_after_loading_as_if_nothing_was(name: str) -> None:
    options = arguments(optim=name, weight_decay=0.01)
    whole = classifier()
    losses = train(whole, make_optimizer(whole, options), 8)
    assert losses[-1] < losses[0]

    first = classifier()
    optimizer = make_optimizer(first, options)
    start = train(first, optimizer, 4)
    second = classifier()
    second.load_state_dict(first.state_dict())
    resumed = make_optimizer(second, options)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert start + train(second, resumed, 4) == losses


def test_adamw_takes_the_steps_of_torchs_own() -> None:
    model, other = classifier(), classifier()
    decays = lambda name: not name.endswith(("bias", "norm.weight"))  # noqa: E731
    groups = [
        {"params": [p for n, p in other.named_parameters() if decays(n)], "weight_decay": 0.1},
        {"params": [p for n, p in other.named_parameters() if not decays(n)], "weight_decay": 0.0},
    ]
    plain = torch.optim.AdamW(groups, lr=0.01)
    assert train(model, make_optimizer(model, arguments()), 4) == train(other, plain, 4)


def test_biases_of_attention_scores_do_not_decay() -> None:
    model = small_model("t5", "seq2seq-lm")
    optimizer = make_optimizer(model, arguments(weight_decay=0.1))
    decayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    left = {name for name, parameter in model.named_parameters() if id(parameter) not in decayed}
    tables = {name for name in left if ".positions." in name}
    assert len(tables) == 2
    assert all(name.endswith("norm.weight") for name in left - tables)


def test_lion_moves_along_the_sign_of_its_momentum() -> None:
    """Against the algorithm of the paper, number by number."""
    torch.manual_seed(1)
    start, gradients = torch.randn(5), torch.randn(6, 5)
    parameter = torch.nn.Parameter(start.clone())
    optimizer = headway.Lion([parameter], lr=0.1, betas=(0.8, 0.9), weight_decay=0.3)
    theta, momentum = start.double(), torch.zeros(5).double()
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
        update = (0.8 * momentum + 0.2 * gradient.double()).sign()
        theta = theta - 0.1 * (update + 0.3 * theta)
        momentum = 0.9 * momentum + 0.1 * gradient.double()
    torch.testing.assert_close(parameter.double(), theta, atol=1e-6, rtol=1e-6)


def test_lion_passes_over_parameters_without_a_gradient() -> None:
    parameters = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    optimizer = headway.Lion(parameters, lr=0.1)
    parameters[0].grad = torch.ones(2)
    optimizer.step()
    assert parameters[0].tolist() == pytest.approx([0.9, 0.9])
    assert parameters[1].tolist() == [1.0, 1.0]


def test_muon_is_for_the_matrices_of_layers_alone() -> None:
    model = classifier()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    muon, adamw = make_optimizer(model, arguments(optim="muon")).parts  # type: ignore[attr-defined]
    inner = {names[id(p)] for group in muon.param_groups for p in group["params"]}
    rest = {names[id(p)] for group in adamw.param_groups for p in group["params"]}
    assert inner | rest == set(names.values())
    assert inner == {n for n in names.values() if ".layers." in n and n.endswith("weight") and "norm" not in n}


def test_optimizers_that_are_one_are_scheduled_and_zeroed_as_one() -> None:
    model = classifier()
    optimizer = make_optimizer(model, arguments(optim="muon"))
    schedule = headway.get_linear_schedule_with_warmup(optimizer, 0, 4)
    train(model, optimizer, 1)
    schedule.step()
    assert {group["lr"] for part in optimizer.parts for group in part.param_groups} == {0.0075}  # type: ignore[attr-defined]
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("given", ["momentum=0.5,nesterov=True", {"momentum": 0.5, "nesterov": True}])
def test_further_options_reach_the_optimizer(given: Any) -> None:
    optimizer = make_optimizer(classifier(), arguments(optim="sgd", optim_args=given))
    assert optimizer.defaults["momentum"] == 0.5
    assert optimizer.defaults["nesterov"] is True


def test_options_may_be_tuples_and_go_before_the_arguments() -> None:
    optimizer = make_optimizer(classifier(), arguments(optim_args="betas=(0.5, 0.6), eps=1e-6"))
    assert optimizer.defaults["betas"] == (0.5, 0.6)
    assert optimizer.defaults["eps"] == 1e-6


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"optim": "adamw"}, "Did you mean 'adamw_torch'?"),
        ({"optim": "sgd", "optim_args": "momentun=1"}, "Did you mean 'momentum'?"),
        ({"optim": "sgd", "optim_args": "momentum"}, "no '='"),
        ({"optim": "sgd", "optim_args": "momentum=-1"}, "takes other values"),
        ({"optim": "lion", "optim_args": "betas=(2, 2)"}, "below 1"),
        ({"learning_rate": -1.0}, "takes other values"),
        ({"layer_decay": 2.0}, "from 0 to 1"),
    ],
)
def test_mistakes_are_told(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        make_optimizer(classifier(), arguments(**values))
    assert words in one_sentence(caught.value)
