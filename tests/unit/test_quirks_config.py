"""Quirks of ``config.json``: spellings, nesting, and what a file leaves out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

import headway
from headway import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertConfig,
    LlamaConfig,
)
from headway.errors import ConfigError
from headway.models.assemble import model_class
from headway.nn.activations import activation
from small import one_sentence, same_state, small_checkpoint, small_config, small_model

Tensors = dict[str, Tensor]


def configure(folder: Path, **changes: Any) -> None:
    values = {**json.loads((folder / "config.json").read_text()), **changes}
    (folder / "config.json").write_text(json.dumps({k: v for k, v in values.items() if v is not ...}))


def write(folder: Path, **values: Any) -> Path:
    (folder / "config.json").write_text(json.dumps(values))
    return folder


def rename(folder: Path, change: Callable[[str], str]) -> None:
    held = load_file(folder / "model.safetensors")
    save_file({change(name): tensor.clone() for name, tensor in held.items()}, folder / "model.safetensors")


# --- 10: code -----------------------------------------------------------------------------------------------------


def test_quirk_10_an_unknown_type_with_code_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, model_type="shiny", auto_map={"AutoConfig": "configuration_shiny.ShinyConfig"})
    for load in (AutoConfig, AutoModel, AutoModelForCausalLM):
        with pytest.raises(ConfigError, match="'shiny' is not known") as caught:
            load.from_pretrained(tmp_path)
        assert "auto_map) is never run" in one_sentence(caught.value)


# --- 12: dtypes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
@pytest.mark.parametrize(
    ("value", "held", "loaded"),
    [
        ("bfloat16", "bfloat16", torch.bfloat16),
        ("torch.bfloat16", "bfloat16", torch.bfloat16),
        ("auto", None, torch.float16),
        (None, None, torch.float16),
        ({"": "bfloat16", "vision_config": "float32"}, {"": "bfloat16", "vision_config": "float32"}, torch.bfloat16),
        ({"vision_config": "float32"}, {"vision_config": "float32"}, torch.float16),
    ],
)
def test_quirk_12_dtypes(tmp_path: Path, key: str, value: Any, held: Any, loaded: torch.dtype) -> None:
    small_model("bert").half().save_pretrained(tmp_path)
    configure(tmp_path, **{"dtype": ..., key: value})
    assert AutoConfig.from_pretrained(tmp_path).dtype == held
    assert AutoModel.from_pretrained(tmp_path).dtype == loaded
    assert AutoModel.from_pretrained(tmp_path, dtype="float32").dtype == torch.float32


# --- 13, 20: numbers ----------------------------------------------------------------------------------------------


def test_quirk_13_two_labels_are_not_written_and_five_of_a_file_become_three(tmp_path: Path) -> None:
    small_checkpoint(tmp_path, "bert", "sequence-classification", num_labels=2)
    assert "id2label" not in json.loads((tmp_path / "config.json").read_text())
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path).config.num_labels == 2
    small_checkpoint(tmp_path, "bert", "sequence-classification", num_labels=5)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=3)
    assert model.head.out.weight.shape[0] == 3
    assert {mismatch.name for mismatch in model.load_report.mismatched} == {"head.out.weight", "head.out.bias"}


def test_quirk_20_null_and_lists_for_special_tokens(tmp_path: Path) -> None:
    small_checkpoint(tmp_path, "llama", "causal-lm")
    configure(tmp_path, num_key_value_heads=4, head_dim=None, eos_token_id=[2, 5], pad_token_id=None)
    config = AutoConfig.from_pretrained(tmp_path)
    assert (config.eos_token_id, config.pad_token_id, config.head_dim) == ([2, 5], None, None)
    again = LlamaConfig(**{key: value for key, value in config.to_dict().items() if key != "model_type"})
    assert again == config


# --- 17: windows --------------------------------------------------------------------------------------------------


def test_quirk_17_mistral_with_kinds_of_layers(tmp_path: Path) -> None:
    """Such files are Ministral's: their windows are those of the layers that say so."""
    kinds = ["sliding_attention", "full_attention"]
    small_checkpoint(tmp_path, "mistral", "causal-lm", sliding_window=4)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert [layer.attn.rule.window for layer in model.backbone.layers] == [4, 4]
    configure(tmp_path, layer_types=kinds)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert [layer.attn.rule.window for layer in model.backbone.layers] == [4, None]
    model.save_pretrained(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "config.json").read_text())["layer_types"] == kinds


# --- 18: activations ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, lambda x: F.gelu(x)) for name in ("gelu", "gelu_python")),
        *(
            (name, lambda x: F.gelu(x, approximate="tanh"))
            for name in ("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_accurate")
        ),
        ("quick_gelu", lambda x: x / (1 + torch.exp(-1.702 * x))),
        ("gelu_10", lambda x: F.gelu(x).clip(-10, 10)),
        *((name, lambda x: x / (1 + torch.exp(-x))) for name in ("silu", "swish")),
        ("relu2", lambda x: torch.where(x > 0, x * x, 0)),
        ("leaky_relu", lambda x: torch.where(x > 0, x, 0.01 * x)),
    ],
)
def test_quirk_18_activations_under_all_their_names(name: str, expected: Callable[[Tensor], Tensor]) -> None:
    x = torch.linspace(-15, 15, 301)
    torch.testing.assert_close(activation(name)(x), expected(x))


# --- 19: ties -----------------------------------------------------------------------------------------------------


def test_quirk_19_a_language_model_saved_without_its_output_layer_was_tied(tmp_path: Path) -> None:
    """LLaMA's default is untied, and files leave out what was the default of the class that wrote them."""
    model = small_model("llama", "causal-lm", tie_word_embeddings=True)
    model.save_pretrained(tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    configure(tmp_path, tie_word_embeddings=...)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert again.load_report.clean
    assert again.get_output_embeddings().weight is again.get_input_embeddings().weight
    assert same_state(again, model)
    again.save_pretrained(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "config.json").read_text())["tie_word_embeddings"] is True


def test_quirk_19_a_backbone_without_an_output_layer_gets_a_new_one(tmp_path: Path) -> None:
    small_checkpoint(tmp_path, "llama")
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.load_report.new == ("head.lm.decoder.weight",)
    assert model.get_output_embeddings().weight is not model.get_input_embeddings().weight


# --- 21: networks within networks ---------------------------------------------------------------------------------


def nest(folder: Path, backbone: str, head: str, **outer: Any) -> Any:
    """Make a LLaMA checkpoint the language model of one with images; returns the model that it was."""
    model = small_model("llama", "causal-lm")
    model.save_pretrained(folder)
    values = json.loads((folder / "config.json").read_text())
    for key in ("architectures", "dtype", "tie_word_embeddings"):
        values.pop(key, None)
    vision = {"model_type": "some_vision", "hidden_size": 99}
    write(folder, model_type="some_llava", **{"vision_config": vision, "text_config": values, **outer})
    held = {
        (head if name.startswith("lm_head") else backbone) + name.removeprefix("model."): tensor.clone()
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    for i in range(9):  # more layers than the text has, with names that are alike
        held[f"vision_tower.encoder.layers.{i}.self_attn.q_proj.weight"] = torch.zeros(3, 3)
    save_file(held, folder / "model.safetensors")
    return model


@pytest.mark.parametrize(
    ("backbone", "head"),
    [
        ("language_model.model.", "language_model."),
        ("model.language_model.", ""),
        ("model.language_model.model.", "model.language_model."),
        ("model.text_model.", ""),
        ("thinker.model.", "thinker."),
    ],
)
def test_quirk_21_a_language_model_within_another(tmp_path: Path, backbone: str, head: str) -> None:
    expected = nest(tmp_path, backbone, head, torch_dtype="float32", pad_token_id=7)
    config = AutoConfig.from_pretrained(tmp_path)
    assert type(config) is LlamaConfig
    assert (config.dtype, config.pad_token_id, config.hidden_size) == ("float32", 1, 16)
    for load in (AutoModelForCausalLM, headway.LlamaForCausalLM):
        model = load.from_pretrained(tmp_path)
        assert model.load_report.new == ()
        assert all(name.startswith("vision_tower.") for name in model.load_report.left_over)
        assert same_state(model, expected)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=3)
    assert set(model.load_report.new) == {"head.out.weight"}
    assert same_state(model.backbone, expected.backbone)


def test_quirk_21_what_parts_take_from_the_whole(tmp_path: Path) -> None:
    nest(tmp_path, "language_model.model.", "language_model.", tie_word_embeddings=True, eos_token_id=[4, 5])
    configure(tmp_path, dtype={"text_config": "float16", "vision_config": "float32", "": "float64"})
    values = json.loads((tmp_path / "config.json").read_text())
    values["text_config"].pop("eos_token_id")
    config = AutoConfig.from_pretrained(write(tmp_path, **values))
    assert (config.tie_word_embeddings, config.eos_token_id, config.dtype) == (True, [4, 5], "float16")
    assert LlamaConfig.from_pretrained(tmp_path) == config
    values["thinker_config"] = {"model_type": "some_thinker", "text_config": values.pop("text_config")}
    assert AutoConfig.from_pretrained(write(tmp_path, **values)).hidden_size == 16


def test_quirk_21_a_part_that_is_unknown_too(tmp_path: Path) -> None:
    write(tmp_path, model_type="some_llava", text_config={"model_type": "some_text"}, vision_config=5)
    with pytest.raises(ConfigError, match="'some_llava' is not known") as caught:
        AutoConfig.from_pretrained(tmp_path)
    one_sentence(caught.value)
    write(tmp_path, model_type="some_llava", vision_config={"model_type": "bert"})
    with pytest.raises(ConfigError, match="'some_llava' is not known"):
        AutoModelForMaskedLM.from_pretrained(tmp_path)


# --- 22: generation -----------------------------------------------------------------------------------------------


def test_quirk_22_settings_of_generation_are_kept(tmp_path: Path) -> None:
    settings = {
        "num_beams": 4,
        "min_length": 56,
        "no_repeat_ngram_size": 3,
        "forced_bos_token_id": 0,
        "prefix": "summarize: ",
        "task_specific_params": {"summarization": {"num_beams": 4}},
    }
    small_checkpoint(tmp_path, "bart", "seq2seq-lm")
    configure(tmp_path, **settings)
    model = model_class("bart", "seq2seq-lm").from_pretrained(tmp_path)
    assert {key: getattr(model.config, key) for key in settings} == settings
    model.save_pretrained(tmp_path / "again")
    values = json.loads((tmp_path / "again" / "config.json").read_text())
    assert {key: values[key] for key in settings} == settings


# --- 23: positions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["relative_key", "relative_key_query"])
@pytest.mark.parametrize("model_type", ["bert", "roberta", "electra", "albert"])
def test_quirk_23_positions_that_are_not_there(model_type: str, kind: str, tmp_path: Path) -> None:
    small_checkpoint(tmp_path, model_type)
    configure(tmp_path, position_embedding_type=kind)
    with pytest.raises(ConfigError, match=rf"position_embedding_type is '{kind}'") as caught:
        AutoModel.from_pretrained(tmp_path)
    one_sentence(caught.value)
    configure(tmp_path, position_embedding_type="absolute")
    assert AutoModel.from_pretrained(tmp_path).load_report.clean


# --- 14, 15 -------------------------------------------------------------------------------------------------------


def test_quirk_14_a_problem_type_is_not_left_behind(tmp_path: Path) -> None:
    model = small_model("bert", "sequence-classification", num_labels=3)
    model(input_ids=torch.tensor([[3, 4]]), labels=torch.tensor([1]))
    model.save_pretrained(tmp_path)
    assert model.config.problem_type is None
    assert "problem_type" not in json.loads((tmp_path / "config.json").read_text())


def test_quirk_15_overrides_under_both_names(tmp_path: Path) -> None:
    small_config("distilbert").save_pretrained(tmp_path)
    for name in ("n_heads", "num_attention_heads"):
        config = AutoConfig.from_pretrained(tmp_path, **{name: 2})
        assert (config.n_heads, config.num_attention_heads) == (2, 2)
    assert BertConfig(num_hidden_layers=3).num_hidden_layers == 3
