"""Adapters: which layers they mean, what they change and what not, and where they come from."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

import headway
from headway import AutoModelForCausalLM, AutoModelForSequenceClassification, LoraConfig
from headway.adapters.base import with_base
from headway.adapters.load import restore_adapter
from headway.errors import CheckpointError, ConfigError, InputError, WeightsError
from headway.io.hub import locate
from headway.nn.lora import adapted
from hub import Hub
from small import inputs_for, one_sentence, same_state, small_checkpoint, small_model

RANDOM = {"r": 2, "init_lora_weights": False}


def adapted_model(model_type: str = "llama", task: str = "causal-lm", **values: Any) -> Any:
    model = small_model(model_type, task)
    model.add_adapter(LoraConfig(**{**RANDOM, **values}))
    return model


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    result: torch.Tensor = model(**inputs_for(model)).logits
    return result


def adapted_paths(model: Any) -> list[str]:
    return [path.removeprefix("backbone.layers.") for path, _, _ in adapted(model)]


# --- which layers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"target_modules": ["q_proj"]}, ["0.attn.q", "1.attn.q"]),
        ({"target_modules": ["attn.q"]}, ["0.attn.q", "1.attn.q"]),
        ({"target_modules": None}, ["0.attn.q", "0.attn.v", "1.attn.q", "1.attn.v"]),
        ({"target_modules": ["layers.1.mlp.up_proj", "0.mlp.down"]}, ["0.mlp.down", "1.mlp.up"]),
        ({"target_modules": r".*\.0\..*_proj", "exclude_modules": ["gate_proj", "attn.o"]},
         ["0.attn.q", "0.attn.k", "0.attn.v", "0.mlp.up", "0.mlp.down"]),
        ({"target_modules": r".*mlp\.(gate|up)"}, ["0.mlp.gate", "0.mlp.up", "1.mlp.gate", "1.mlp.up"]),
        ({"target_modules": ["o"], "layers_to_transform": [1]}, ["1.attn.o"]),
        ({"target_modules": "all-linear", "layers_to_transform": 0},
         [f"0.attn.{x}" for x in "qkvo"] + [f"0.mlp.{x}" for x in ("gate", "up", "down")]),
    ],
)  # fmt: skip
def test_layers_by_either_name(values: dict[str, Any], expected: list[str]) -> None:
    assert adapted_paths(adapted_model(**values)) == expected


def test_routers_and_output_layers_are_left_out_of_all_linear() -> None:
    paths = adapted_paths(adapted_model("mixtral", target_modules="all-linear"))
    assert "0.mlp.experts.2.down" in paths
    assert not [path for path in paths if "router" in path or "head" in path]


def test_parts_of_a_fused_layer_share_one_matrix_and_the_others_change_nothing() -> None:
    model = adapted_model("gpt2", target_modules=["attn.q", "attn.v"])
    assert adapted_paths(model) == ["0.attn.q", "0.attn.v", "1.attn.q", "1.attn.v"]
    attention = model.backbone.layers[0].attn
    assert attention.q.adapters["default"].a is attention.v.adapters["default"].a
    assert model.peft_config["default"].target_modules == ["c_attn"]


@pytest.mark.parametrize("target", ["q_projj", "atn.q"])
def test_a_name_that_fits_no_layer_is_an_error_with_the_nearest(target: str) -> None:
    model = small_model("llama", "causal-lm")
    with pytest.raises(InputError, match=r"Did you mean '(q_proj|attn\.q)'") as caught:
        model.add_adapter(LoraConfig(target_modules=["v_proj", target]))
    one_sentence(caught.value)
    assert not list(adapted(model))
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    "values",
    [
        *({"r": 0}, {"rank_pattern": {"q": 0}}, {"lora_dropout": 1.0}, {"bias": "all"}, {"init_lora_weights": "pissa"}),
        *({"extra": {"lora_bias": True}}, {"target_modules": "("}, {"init_lora_weights": "eva"}),
    ],
)
def test_what_makes_no_sense_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        small_model("llama", "causal-lm").add_adapter(LoraConfig(**values))
    one_sentence(caught.value)


@pytest.mark.parametrize("name", ["", "a.b", "keys", "before", "training"])
def test_names_that_no_adapter_can_have(name: str) -> None:
    with pytest.raises(InputError, match="cannot be called"):
        small_model("llama", "causal-lm").add_adapter(LoraConfig(), name)


# --- what changes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize(("model_type", "task"), [("llama", "causal-lm"), ("gpt2", "causal-lm"), ("t5", "seq2seq-lm")])
def test_off_it_is_the_base_and_merged_it_is_the_same(model_type: str, task: str, dora: bool) -> None:
    plain = logits(small_model(model_type, task))
    model = adapted_model(model_type, task, target_modules="all-linear", use_dora=dora)
    with_adapter = logits(model)
    assert (with_adapter - plain).abs().max() > 1e-3
    model.disable_adapters()
    assert torch.equal(logits(model), plain)
    model.enable_adapters()
    assert torch.equal(logits(model), with_adapter)
    headway.merge_adapter(model)
    assert (logits(model) - with_adapter).abs().max() < 1e-5
    headway.unmerge_adapter(model)
    assert torch.equal(logits(model), with_adapter)
    model.delete_adapter("default")
    assert torch.equal(logits(model), plain)
    assert same_state(model, small_model(model_type, task))


@pytest.mark.parametrize("dora", [False, True])
def test_a_new_adapter_changes_nothing_yet(dora: bool) -> None:
    model = adapted_model(init_lora_weights=True, use_dora=dora)
    assert (logits(model) - logits(small_model("llama", "causal-lm"))).abs().max() < 1e-5


def test_only_the_adapter_learns_and_training_it_leaves_the_base_alone() -> None:
    base = small_model("llama", "sequence-classification")
    model = adapted_model("llama", "sequence-classification", task_type="SEQ_CLS", lora_dropout=0.1)
    model.train()
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert all(".adapters." in name or name == "head.out.weight" for name in names)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    before = logits(model.eval())
    for _ in range(2):
        model(**inputs_for(model), labels=torch.tensor([0, 1])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert not torch.equal(logits(model), before)
    model.delete_adapter("default")
    assert same_state(model, base)
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_on_quantised_layers_it_learns_and_is_not_merged(kind: str) -> None:
    model = small_model("llama", "causal-lm", hidden_size=32, head_dim=8).quantize(kind)
    plain = logits(model)
    model.add_adapter(LoraConfig(**RANDOM, target_modules="all-linear", use_dora=True))
    inputs = inputs_for(model)
    model(**inputs, labels=inputs["input_ids"]).loss.backward()
    learned = [name for name, parameter in model.named_parameters() if parameter.grad is not None]
    assert learned
    assert all(".adapters." in name for name in learned)
    with pytest.raises(InputError, match="full precision") as caught:
        headway.merge_adapter(model)
    one_sentence(caught.value)
    model.disable_adapters()
    assert torch.equal(logits(model), plain)


def test_several_together_add_up_and_one_alone_is_itself() -> None:
    model = adapted_model(target_modules=["v_proj"])
    one = logits(model)
    model.add_adapter(LoraConfig(**RANDOM, target_modules=["q_proj", "v_proj"]), "other")
    assert model.active_adapters() == ["other"]
    other = logits(model)
    model.set_adapter(["default", "other"])
    both = logits(model)
    headway.merge_adapter(model)
    assert (logits(model) - both).abs().max() < 1e-5
    headway.unmerge_adapter(model)
    assert min((both - one).abs().max(), (both - other).abs().max()) > 1e-4
    model.set_adapter("default")
    assert torch.equal(logits(model), one)
    learning = {name.split(".adapters.")[1].split(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert learning == {"default"}
    with pytest.raises(InputError, match="Did you mean 'other'"):
        model.set_adapter("othr")
    with pytest.raises(InputError, match="already"):
        model.add_adapter(LoraConfig(), "other")


def test_two_that_keep_the_same_head_are_not_used_together() -> None:
    model = adapted_model("bert", "sequence-classification", modules_to_save=["classifier"])
    model.add_adapter(LoraConfig(modules_to_save=["head.out"]), "other")
    assert model.peft_config["other"].modules_to_save == ["classifier"]
    with pytest.raises(InputError, match="modules_to_save"):
        model.set_adapter(["default", "other"])


def test_an_output_layer_that_is_the_token_table_is_not_merged() -> None:
    model = adapted_model("gpt2", target_modules=["lm_head"])
    with pytest.raises(InputError, match="shares its weight"):
        headway.merge_adapter(model)


def test_copies_and_pickles_are_whole() -> None:
    model = adapted_model(target_modules="all-linear")
    expected = logits(model)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(logits(twin), expected)
        twin.delete_adapter("default")
        assert not torch.equal(logits(twin), expected)
    assert torch.equal(logits(model), expected)


def test_what_is_merged_for_good_is_a_model_like_any_other(tmp_path: Path) -> None:
    model = adapted_model("mixtral", target_modules="all-linear")
    expected = logits(model)
    with pytest.raises(InputError, match="merge_and_unload"):
        model.quantize("int8")
    assert headway.merge_and_unload(model) is model
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert (logits(again) - expected).abs().max() < 1e-5
    assert again.peft_config == {}
    assert not [name for name, parameter in model.named_parameters() if not parameter.requires_grad]


def test_generate_writes_with_the_adapter() -> None:
    model = adapted_model(target_modules="all-linear")
    prompt = inputs_for(model)["input_ids"][:1, :3]
    written = model.generate(prompt, max_new_tokens=5, eos_token_id=None)
    assert torch.equal(written, headway.merge_and_unload(model).generate(prompt, max_new_tokens=5, eos_token_id=None))


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return small_checkpoint(tmp_path / "base", "bert")


def saved(base: Path, folder: Path, **values: Any) -> Any:
    """A classifier on ``base`` with an adapter that is saved in ``folder``."""
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3)
    model.add_adapter(LoraConfig(**{**RANDOM, "task_type": "SEQ_CLS", **values}))
    model.save_pretrained(folder)
    return model


@pytest.mark.filterwarnings("error")
def test_from_pretrained_of_an_adapter_loads_its_base(base: Path, tmp_path: Path, caplog: Any) -> None:
    model = saved(base, tmp_path / "adapter")
    assert {path.name for path in (tmp_path / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    caplog.clear()
    for kind in (AutoModelForSequenceClassification, headway.BertForSequenceClassification):
        again = kind.from_pretrained(tmp_path / "adapter", num_labels=3)
        assert (logits(again) - logits(model)).abs().max() < 1e-6
        assert again.load_report.new == ()
        assert not again.training
        assert not any(parameter.requires_grad for parameter in again.parameters())
    assert not caplog.records


def test_an_adapter_on_the_hub_and_its_base_there(base: Path, tmp_path: Path) -> None:
    model = saved(base, tmp_path / "adapter", base_model_name_or_path="someone/base")
    with Hub() as hub:
        hub.add("someone/base", base)
        hub.add("someone/adapter", tmp_path / "adapter")
        places = {"endpoint": hub.url, "cache_dir": tmp_path / "cache"}
        adapter, source = with_base(locate("someone/adapter", **places), places)
        assert adapter is not None
        assert (adapter.name, source.name) == ("someone/adapter", "someone/base")
        again = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3)
        again.load_adapter(adapter)
        assert (logits(again) - logits(model)).abs().max() < 1e-6


def test_a_base_that_is_nowhere_is_named(base: Path, tmp_path: Path) -> None:
    saved(base, tmp_path / "adapter", base_model_name_or_path=str(tmp_path / "gone"))
    with pytest.raises(CheckpointError, match="gone") as caught:
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "adapter")
    one_sentence(caught.value)


def test_what_a_config_says_besides_is_kept_and_other_kinds_are_refused(base: Path, tmp_path: Path) -> None:
    saved(base, tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    values = json.loads(path.read_text()) | {"peft_version": "9.9", "something_new": {"a": 1}}
    path.write_text(json.dumps(values))
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "adapter", num_labels=3)
    headway.save_adapter(model, tmp_path / "again")
    assert json.loads((tmp_path / "again" / "adapter_config.json").read_text()) == values
    path.write_text(json.dumps(values | {"peft_type": "IA3"}))
    with pytest.raises(ConfigError, match="IA3"):
        LoraConfig.from_pretrained(tmp_path / "adapter")


def test_an_adapter_of_another_model_is_refused_and_leaves_no_trace(base: Path, tmp_path: Path) -> None:
    saved(base, tmp_path / "adapter")
    for other in (
        small_model("llama", "sequence-classification"),
        small_model("bert", "sequence-classification", hidden_size=32),
        small_model("bert", "sequence-classification"),  # of two labels
    ):
        with pytest.raises(WeightsError) as caught:
            other.load_adapter(tmp_path / "adapter")
        one_sentence(caught.value)
        assert not list(adapted(other))
        assert other.peft_config == {}


@pytest.mark.parametrize("dora", [False, True])
def test_values_come_back_in_place(tmp_path: Path, dora: bool) -> None:
    values = {"target_modules": ["c_attn"], "use_dora": dora, "modules_to_save": ["score"]}
    model = adapted_model("gpt2", "sequence-classification", **values)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    before = [parameter.clone() for parameter in learning]
    expected = logits(model)
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        for parameter in learning:
            parameter.add_(1)
    restore_adapter(model, tmp_path, "default")
    assert all(map(torch.equal, learning, before))
    assert torch.equal(logits(model), expected)
    model.add_adapter(LoraConfig(r=5), "other")
    with pytest.raises(WeightsError, match="another adapter"):
        restore_adapter(model, tmp_path, "other")


def test_an_adapter_of_a_head_goes_onto_the_backbone_alone(base: Path, tmp_path: Path) -> None:
    adapted_model("bert", "masked-lm").save_pretrained(tmp_path / "adapter")
    bare = small_model("bert")
    bare.load_adapter(tmp_path / "adapter")
    assert adapted_paths(bare) == ["0.attn.q", "0.attn.v", "1.attn.q", "1.attn.v"]
