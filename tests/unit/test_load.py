"""Loading: which tensor of a file becomes which parameter, what is new, what is refused, and how much is copied."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import headway
from headway import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from headway.errors import CheckpointError, ConfigError, HeadwayError, InputError, WeightsError
from headway.models import pretrained
from headway.models.assemble import model_class
from small import PAIRS, inputs_for, one_sentence, same_state, small_checkpoint, small_config, small_model

Tensors = dict[str, Tensor]


def tensors(folder: Path) -> Tensors:
    return {name: tensor.clone() for name, tensor in load_file(folder / "model.safetensors").items()}


def rewrite(folder: Path, change: Callable[[Tensors], Tensors | None]) -> Path:
    """Change the tensors of a checkpoint."""
    held = tensors(folder)
    held = change(held) or held
    save_file({name: tensor.contiguous() for name, tensor in held.items()}, folder / "model.safetensors")
    return folder


def renamed(folder: Path, rename: Callable[[str], str]) -> Path:
    return rewrite(folder, lambda held: {rename(name): tensor for name, tensor in held.items()})


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    return small_checkpoint(tmp_path / "bare", "bert")


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    return small_checkpoint(tmp_path / "classifier", "bert", "sequence-classification", num_labels=3)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.WARNING, logger="headway")
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("headway")]


# --- there and back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model_type", "task"), PAIRS)
def test_what_is_saved_is_loaded(tmp_path: Path, model_type: str, task: str, said: Callable[[], list[str]]) -> None:
    model = small_model(model_type, task)
    model.save_pretrained(tmp_path)
    again, info = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert info == {"missing_keys": set(), "unexpected_keys": set(), "mismatched_keys": set(), "error_msgs": []}
    assert again.load_report.clean
    assert same_state(again, model)
    assert not again.training
    assert all(p.requires_grad for p in again.parameters())
    with torch.no_grad():
        assert torch.equal(again(**inputs_for(model))[0], model(**inputs_for(model))[0])
    assert said() == []
    assert again.config == AutoConfig.from_pretrained(tmp_path)
    assert again.config.architectures == [type(model).__name__]


# --- heads and bases ----------------------------------------------------------------------------------------------


def test_a_base_into_a_head_reports_the_new_head_once(bare: Path, said: Callable[[], list[str]]) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(bare, num_labels=4)
    assert same_state(model.backbone, AutoModel.from_pretrained(bare).backbone)
    (text,) = said()
    assert text.startswith(f"BertForSequenceClassification loaded from {bare}:")
    assert "head.out.weight" in text
    assert "head.out.bias" in text
    assert "backbone" not in text
    assert str(model.load_report) == text
    assert model.load_report.new == ("head.out.weight", "head.out.bias")
    assert not model.load_report.clean
    assert model.config.num_labels == 4
    assert torch.equal(model.head.out.bias, torch.zeros(4))
    assert 0.005 < float(model.head.out.weight.detach().std()) < 0.04


def test_a_head_into_a_base_leaves_the_head_over_and_says_nothing(
    classifier: Path, said: Callable[[], list[str]]
) -> None:
    model, info = AutoModel.from_pretrained(classifier, output_loading_info=True)
    assert info["unexpected_keys"] == {"classifier.weight", "classifier.bias"}
    assert info["missing_keys"] == set()
    assert same_state(model.backbone, AutoModelForSequenceClassification.from_pretrained(classifier).backbone)
    assert said() == []


@pytest.mark.parametrize(
    "model_type", ["bert", "roberta", "distilbert", "electra", "gpt2", "llama", "t5", "bart", "vit"]
)
def test_any_head_into_any_other(tmp_path: Path, model_type: str) -> None:
    """The backbone is the same, whichever head's prefix the file uses."""
    halves = {"causal-lm", "token-classification"} if model_type in ("t5", "bart") else set()
    tasks = [task for name, task in PAIRS if name == model_type and task not in halves]
    reference: dict[str, Tensor] = small_model(model_type).state_dict()
    for task in tasks:
        model = small_model(model_type, task)
        model.load_state_dict(reference, strict=False)
        folder = tmp_path / task
        model.save_pretrained(folder)
        for other in tasks:
            loaded = model_class(model_type, other).from_pretrained(folder)
            for name, tensor in loaded.state_dict().items():
                kept = name.startswith("backbone.") and name in reference and name in model.state_dict()
                if kept and not name.startswith("backbone.pooler"):
                    assert torch.equal(tensor, reference[name]), (task, other, name)


@pytest.mark.parametrize("model_type", ["t5", "bart"])
def test_a_head_on_half_of_an_encoder_decoder(tmp_path: Path, model_type: str) -> None:
    """Reads its half of a whole file; its own file is not enough for a whole model, and is said to be so."""
    whole = small_checkpoint(tmp_path / "whole", model_type, "seq2seq-lm")
    expected = model_class(model_type, "seq2seq-lm").from_pretrained(whole).state_dict()
    for task, half, other in (("causal-lm", "decoder", "encoder"), ("token-classification", "encoder", "decoder")):
        model = model_class(model_type, task).from_pretrained(whole)
        assert any(name.startswith(f"backbone.{half}.") for name in model.state_dict())
        for name, tensor in model.state_dict().items():
            assert not name.startswith(f"backbone.{other}.")
            if name.startswith("backbone."):
                assert torch.equal(tensor, expected[name]), name
        model.save_pretrained(tmp_path / task)
        assert type(model).from_pretrained(tmp_path / task).load_report.clean
        with pytest.raises(WeightsError, match=rf"lacks \d+ tensors of the .* {other}\.") as caught:
            AutoModel.from_pretrained(tmp_path / task)
        one_sentence(caught.value)


def test_a_pooler_that_the_file_lacks_is_new_and_reported(tmp_path: Path, said: Callable[[], list[str]]) -> None:
    folder = small_checkpoint(tmp_path, "bert", "masked-lm")
    model = AutoModel.from_pretrained(folder)
    assert set(model.load_report.new) == {"backbone.pooler.dense.weight", "backbone.pooler.dense.bias"}
    assert "backbone.pooler.dense" in said()[0]
    assert len(said()) == 1
    assert AutoModel.from_pretrained(folder, add_pooling_layer=False).load_report.new == ()


def test_another_number_of_labels_makes_a_new_head(classifier: Path, said: Callable[[], list[str]]) -> None:
    model, info = AutoModelForSequenceClassification.from_pretrained(classifier, num_labels=7, output_loading_info=True)
    assert model.head.out.weight.shape == (7, 16)
    assert info["mismatched_keys"] == {("head.out.weight", (3, 16), (7, 16)), ("head.out.bias", (3,), (7,))}
    (text,) = said()
    assert "[3, 16] in the checkpoint, [7, 16] in the model" in text
    assert torch.equal(model.head.out.bias, torch.zeros(7))
    assert model(input_ids=torch.tensor([[5, 6]])).logits.shape == (1, 7)


def test_another_number_of_labels_can_be_an_error(classifier: Path) -> None:
    with pytest.raises(HeadwayError, match="ignore_mismatched_sizes=True") as caught:
        AutoModelForSequenceClassification.from_pretrained(classifier, num_labels=7, ignore_mismatched_sizes=False)
    assert isinstance(caught.value, ConfigError)
    assert "[3, 16]" in str(caught.value)
    AutoModelForSequenceClassification.from_pretrained(classifier, ignore_mismatched_sizes=False)


def test_the_number_of_labels_comes_from_the_file(classifier: Path) -> None:
    assert AutoModelForSequenceClassification.from_pretrained(classifier).config.num_labels == 3
    assert AutoModelForTokenClassification.from_pretrained(classifier).config.num_labels == 3


def test_the_same_seed_gives_the_same_new_head(bare: Path) -> None:
    heads = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        heads.append(AutoModelForSequenceClassification.from_pretrained(bare).head.out.weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


# --- names in files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrapper", ["module.", "_orig_mod.", "module._orig_mod.", "model.", "0.auto_model.", "base_model.model."]
)
@pytest.mark.parametrize("task", ["base", "sequence-classification"])
def test_wrappers_around_all_names(tmp_path: Path, wrapper: str, task: str) -> None:
    folder = small_checkpoint(tmp_path, "bert", task)
    expected = model_class("bert", task).from_pretrained(folder)
    renamed(folder, lambda name: wrapper + name)
    for kind in (model_class("bert", task), AutoModel):
        model = kind.from_pretrained(folder)
        assert model.load_report.new == ()
        assert same_state(model.backbone, expected.backbone)
    assert same_state(model_class("bert", task).from_pretrained(folder), expected)


@pytest.mark.parametrize("model_type", ["bert", "gpt2", "llama", "bart", "roberta", "vit", "t5"])
def test_a_base_with_the_prefix_of_a_head(tmp_path: Path, model_type: str) -> None:
    """Files of a bare backbone carry the prefix in some repos and not in others."""
    folder = small_checkpoint(tmp_path, model_type)
    expected = AutoModel.from_pretrained(folder)
    renamed(folder, lambda name: f"{expected.base_model_prefix}.{name}")
    model = AutoModel.from_pretrained(folder)
    assert model.load_report.clean
    assert same_state(model, expected)


def test_old_names_of_norms(classifier: Path) -> None:
    expected = AutoModelForSequenceClassification.from_pretrained(classifier)
    renamed(
        classifier,
        lambda name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"),
    )
    assert any(name.endswith("LayerNorm.gamma") for name in tensors(classifier))
    model = AutoModelForSequenceClassification.from_pretrained(classifier)
    assert model.load_report.clean
    assert same_state(model, expected)


def test_parameters_called_gamma_keep_their_names(tmp_path: Path) -> None:
    """transformers #29554: only LayerNorm's gamma and beta are old spellings."""

    class Scaled(headway.PreTrainedModel):
        config_class = headway.BertConfig

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.gamma = torch.nn.Parameter(torch.zeros(3))
            self.block = torch.nn.Module()
            self.block.beta = torch.nn.Parameter(torch.zeros(2))

    model = Scaled(small_config("bert"))
    torch.nn.init.normal_(model.gamma)
    torch.nn.init.normal_(model.block.beta)
    model.save_pretrained(tmp_path)
    assert set(tensors(tmp_path)) == {"gamma", "block.beta"}
    assert same_state(Scaled.from_pretrained(tmp_path), model)


def test_buffers_of_old_files_are_ignored(tmp_path: Path, said: Callable[[], list[str]]) -> None:
    folder = small_checkpoint(tmp_path / "bert", "bert", "masked-lm")
    rewrite(folder, lambda held: held.update({"bert.embeddings.position_ids": torch.arange(20)[None]}))
    model, info = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert info["unexpected_keys"] == set()
    assert model.load_report.ignored == ("bert.embeddings.position_ids",)
    folder = small_checkpoint(tmp_path / "gpt2", "gpt2")
    extra = {f"h.{i}.attn.{name}": torch.ones(1, 1, 4, 4) for i in range(2) for name in ("bias", "masked_bias")}
    rewrite(folder, lambda held: held.update(extra))
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert info["unexpected_keys"] == set()
    assert set(model.load_report.ignored) == set(extra)
    assert said() == []


@pytest.mark.parametrize(
    ("model_type", "buffers"),
    [
        ("gptj", ("transformer.h.1.attn.bias", "transformer.h.1.attn.masked_bias")),
        ("gpt_neo", ("transformer.h.1.attn.attention.bias", "transformer.h.1.attn.attention.masked_bias")),
        ("gpt_neox", tuple(f"gpt_neox.layers.1.attention.{x}" for x in ("bias", "masked_bias", "rotary_emb.inv_freq"))),
        ("falcon", ("transformer.h.1.self_attention.rotary_emb.inv_freq",)),
        ("opt", ("model.decoder.version",)),
        ("phi", ("model.layers.1.self_attn.rotary_emb.inv_freq",)),
    ],
)
def test_buffers_of_older_decoders_are_ignored(model_type: str, buffers: tuple[str, ...], tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path / "x", model_type, "causal-lm")
    rewrite(folder, lambda held: held.update({name: torch.ones(4) for name in buffers}))
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert set(model.load_report.ignored) == set(buffers)
    assert model.load_report.clean


@pytest.mark.parametrize("stored", ["embed_out.weight", "lm_head.weight"])
def test_an_output_layer_of_two_names(stored: str, tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path / "x", "gpt_neox", "causal-lm")
    model = AutoModelForCausalLM.from_pretrained(folder)
    rewrite(folder, lambda held: held.update({stored: held.pop("embed_out.weight")}))
    again = AutoModelForCausalLM.from_pretrained(folder)
    assert again.load_report.clean
    assert same_state(again, model)


def test_keys_that_nothing_uses_are_left_over(bare: Path) -> None:
    rewrite(bare, lambda held: held.update({"pooler.extra": torch.ones(1), "cls.x.weight": torch.ones(1)}))
    model, info = AutoModel.from_pretrained(bare, output_loading_info=True)
    assert info["unexpected_keys"] == {"pooler.extra", "cls.x.weight"}
    assert set(model.load_report.left_over) == {"pooler.extra", "cls.x.weight"}
    assert not model.load_report.clean
    assert "left over" in str(model.load_report)


def test_a_state_dict_within_a_dictionary(bare: Path) -> None:
    expected = AutoModel.from_pretrained(bare)
    torch.save({"state_dict": tensors(bare), "epoch": 3}, bare / "pytorch_model.bin")
    (bare / "model.safetensors").unlink()
    assert same_state(AutoModel.from_pretrained(bare), expected)


# --- ties ---------------------------------------------------------------------------------------------------------

TABLES = {
    "bert": ("cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"),
    "gpt2": ("lm_head.weight", "transformer.wte.weight"),
    "bart": ("lm_head.weight", "model.shared.weight"),
    "t5": ("lm_head.weight", "shared.weight"),
    "distilbert": ("vocab_projector.weight", "distilbert.embeddings.word_embeddings.weight"),
    "electra": ("generator_lm_head.weight", "electra.embeddings.word_embeddings.weight"),
}


def task_of(model_type: str) -> str:
    return {"gpt2": "causal-lm", "bart": "seq2seq-lm", "t5": "seq2seq-lm"}.get(model_type, "masked-lm")


@pytest.mark.parametrize("model_type", TABLES)
def test_a_tied_table_is_saved_once_and_tied_when_loaded(tmp_path: Path, model_type: str) -> None:
    folder = small_checkpoint(tmp_path, model_type, task_of(model_type))
    alias, name = TABLES[model_type]
    held = tensors(folder)
    assert name in held
    assert alias not in held
    model = model_class(model_type, task_of(model_type)).from_pretrained(folder)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


@pytest.mark.parametrize("model_type", TABLES)
def test_a_tied_table_that_is_in_the_file_twice(tmp_path: Path, model_type: str) -> None:
    folder = small_checkpoint(tmp_path, model_type, task_of(model_type))
    kind = model_class(model_type, task_of(model_type))
    alias, name = TABLES[model_type]
    expected = kind.from_pretrained(folder)
    rewrite(folder, lambda held: held.update({alias: held[name].clone()}))
    model = kind.from_pretrained(folder)
    assert model.load_report.clean
    assert same_state(model, expected)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    rewrite(folder, lambda held: held.update({alias: held[name] + 1}))
    with pytest.raises(WeightsError, match=f"'{alias}' differs from '{name}'") as caught:
        kind.from_pretrained(folder)
    assert "tie_word_embeddings=False" in one_sentence(caught.value)


@pytest.mark.parametrize("model_type", ["bert", "gpt2", "distilbert", "electra"])
def test_a_tied_table_under_the_heads_name_alone(tmp_path: Path, model_type: str) -> None:
    folder = small_checkpoint(tmp_path, model_type, task_of(model_type))
    kind = model_class(model_type, task_of(model_type))
    alias, name = TABLES[model_type]
    expected = kind.from_pretrained(folder)
    rewrite(folder, lambda held: {alias if key == name else key: tensor for key, tensor in held.items()})
    model = kind.from_pretrained(folder)
    assert model.load_report.clean
    assert same_state(model, expected)


def test_untied_tables_are_two(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path, "bert", "masked-lm", tie_word_embeddings=False)
    assert {"cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"} <= set(tensors(folder))
    model = AutoModelForMaskedLM.from_pretrained(folder)
    assert model.get_output_embeddings().weight is not model.get_input_embeddings().weight
    assert not torch.equal(model.get_output_embeddings().weight, model.get_input_embeddings().weight)


def test_a_second_name_of_one_tensor(tmp_path: Path) -> None:
    """BERT's output bias is in files as cls.predictions.bias, and in many a second time under its decoder."""
    folder = small_checkpoint(tmp_path, "bert", "masked-lm")
    expected = AutoModelForMaskedLM.from_pretrained(folder)
    one, other = "cls.predictions.bias", "cls.predictions.decoder.bias"
    rewrite(folder, lambda held: held.update({other: held[one].clone()}))
    assert AutoModelForMaskedLM.from_pretrained(folder).load_report.clean
    rewrite(folder, lambda held: {other if key == one else key: t for key, t in held.items() if key != other})
    assert same_state(AutoModelForMaskedLM.from_pretrained(folder), expected)
    rewrite(folder, lambda held: held.update({one: held[other] + 1}))
    with pytest.raises(WeightsError, match="differs"):
        AutoModelForMaskedLM.from_pretrained(folder)


# --- what does not fit --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefixed", [False, True])
def test_a_missing_tensor_of_the_backbone_is_an_error(bare: Path, classifier: Path, prefixed: bool) -> None:
    folder = classifier if prefixed else bare
    name = ("bert." if prefixed else "") + "encoder.layer.1.attention.self.query.weight"
    rewrite(folder, lambda held: {key: tensor for key, tensor in held.items() if key != name})
    with pytest.raises(WeightsError, match="lacks 1 tensor of the") as caught:
        AutoModelForSequenceClassification.from_pretrained(folder)
    assert "encoder.layer.1.attention.self.query.weight" in one_sentence(caught.value)
    assert str(folder) in str(caught.value)


def test_many_missing_tensors_are_counted(bare: Path) -> None:
    with pytest.raises(WeightsError, match=r"lacks 16 tensors .* and 10 more") as caught:
        AutoModel.from_pretrained(bare, num_hidden_layers=3)
    one_sentence(caught.value)


def test_a_tensor_of_the_backbone_of_another_shape_is_an_error(bare: Path) -> None:
    with pytest.raises(WeightsError, match=r"\[24, 16\] but the config asks for \[48, 16\]") as caught:
        AutoModel.from_pretrained(bare, intermediate_size=48)
    text = one_sentence(caught.value)
    assert "encoder.layer.0.intermediate.dense.weight" in text
    assert str(bare) in text
    with pytest.raises(WeightsError, match=r"word_embeddings"):
        AutoModelForMaskedLM.from_pretrained(bare, vocab_size=61)


@pytest.mark.parametrize("kind", [AutoModel, AutoModelForSequenceClassification])
def test_weights_of_another_family_are_an_error(tmp_path: Path, kind: Any) -> None:
    folder = small_checkpoint(tmp_path, "gpt2")
    small_config("bert").save_pretrained(folder)
    with pytest.raises(WeightsError) as caught:
        kind.from_pretrained(folder)
    assert str(folder) in one_sentence(caught.value)


def test_an_empty_file_of_weights_is_an_error(bare: Path) -> None:
    save_file({"something.else": torch.ones(2)}, bare / "model.safetensors")
    with pytest.raises(WeightsError) as caught:
        AutoModel.from_pretrained(bare)
    one_sentence(caught.value)


def test_nothing_matched_in_a_class_of_ones_own(tmp_path: Path) -> None:
    class Plain(headway.PreTrainedModel):
        config_class = headway.BertConfig

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.linear = torch.nn.Linear(2, 2)

    small_config("bert").save_pretrained(tmp_path)
    save_file({"something.else": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"holds no tensor of Plain; it holds something\.else") as caught:
        Plain.from_pretrained(tmp_path)
    one_sentence(caught.value)


def test_a_tensor_less_or_more_of_a_fused_weight(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path, "gpt2")
    rewrite(folder, lambda held: held.update({"h.0.attn.c_attn.weight": torch.ones(16, 45)}))
    with pytest.raises(WeightsError, match=r"'h\.0\.attn\.c_attn\.weight' has shape") as caught:
        AutoModel.from_pretrained(folder)
    one_sentence(caught.value)
    rewrite(folder, lambda held: held.update({"h.0.attn.c_attn.weight": torch.ones(16, 2)}))
    with pytest.raises(WeightsError, match=r"h\.0\.attn\.c_attn\.weight") as caught:
        AutoModel.from_pretrained(folder)


# --- dtype --------------------------------------------------------------------------------------------------------


def dtypes(model: Any) -> set[torch.dtype]:
    return {tensor.dtype for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point()}


@pytest.mark.parametrize("stored", [torch.float32, torch.float16, torch.bfloat16])
def test_auto_is_the_stored_dtype(tmp_path: Path, stored: torch.dtype) -> None:
    model = small_model("bert", "sequence-classification").to(stored)
    model.save_pretrained(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).dtype == str(stored).removeprefix("torch.")
    assert {tensor.dtype for tensor in tensors(tmp_path).values()} == {stored}
    for again in (
        AutoModelForSequenceClassification.from_pretrained(tmp_path),
        AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype="auto"),
    ):
        assert dtypes(again) == {stored}
        assert same_state(again, model)


@pytest.mark.parametrize("asked", ["float16", torch.float16, "torch.float16"])
@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
def test_a_dtype_by_name_and_by_type(bare: Path, key: str, asked: Any) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(bare, **{key: asked})
    assert dtypes(model) == {torch.float16}, "new heads too"
    assert model.dtype == torch.float16
    plain = AutoModel.from_pretrained(bare)
    state = plain.state_dict()
    for name, tensor in model.state_dict().items():
        if name in state:
            assert torch.equal(tensor, state[name].half())


def test_auto_without_a_dtype_in_the_config_is_that_of_the_file(bare: Path) -> None:
    rewrite(bare, lambda held: {name: tensor.bfloat16() for name, tensor in held.items()})
    config = AutoConfig.from_pretrained(bare)
    config.dtype = None
    config.save_pretrained(bare)
    assert dtypes(AutoModel.from_pretrained(bare)) == {torch.bfloat16}
    assert dtypes(AutoModelForSequenceClassification.from_pretrained(bare)) == {torch.bfloat16}
    assert dtypes(AutoModel.from_pretrained(bare, dtype="float32")) == {torch.float32}


def test_a_dtype_that_is_none(bare: Path) -> None:
    with pytest.raises(InputError, match="dtype='half16'") as caught:
        AutoModel.from_pretrained(bare, dtype="half16")
    one_sentence(caught.value)


# --- files --------------------------------------------------------------------------------------------------------


def test_shards(tmp_path: Path) -> None:
    model = small_model("bert", "token-classification")
    model.save_pretrained(tmp_path, max_shard_size="4KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    assert (tmp_path / "model.safetensors.index.json").is_file()
    again = AutoModelForTokenClassification.from_pretrained(tmp_path)
    assert again.load_report.clean
    assert same_state(again, model)


def test_pickles(bare: Path) -> None:
    expected = AutoModel.from_pretrained(bare)
    for legacy in (False, True):
        torch.save(tensors(bare), bare / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
        (bare / "model.safetensors").rename(bare / "kept")
        assert same_state(AutoModel.from_pretrained(bare), expected)
        (bare / "kept").rename(bare / "model.safetensors")


def test_a_variant(bare: Path) -> None:
    save_file({name: tensor.half() for name, tensor in tensors(bare).items()}, bare / "model.fp16.safetensors")
    assert dtypes(AutoModel.from_pretrained(bare, variant="fp16", dtype="float16")) == {torch.float16}
    (bare / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"pass variant='fp16'") as caught:
        AutoModel.from_pretrained(bare)
    one_sentence(caught.value)


# --- memory -------------------------------------------------------------------------------------------------------


@pytest.fixture
def nothing_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small models are laid out anew; here none counts as small, so that weights stay where the file has them."""
    from headway.nn import layout

    monkeypatch.setattr(layout, "SMALL", 0)


@pytest.mark.usefixtures("nothing_small")
def test_parameters_are_views_of_the_mapped_file(tmp_path: Path) -> None:
    """Every parameter's memory lies in a mapping of the file, and none in memory of the process's own."""
    folder = small_checkpoint(tmp_path, "llama", "causal-lm")
    model = AutoModelForCausalLM.from_pretrained(folder)
    file = folder / "model.safetensors"
    ranges = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(str(file)):
            low, high = (int(part, 16) for part in line.split()[0].split("-"))
            ranges.append((low, high))
    assert ranges
    for name, parameter in model.named_parameters():
        at = parameter.data_ptr()
        assert any(low <= at and at + parameter.nbytes <= high for low, high in ranges), name


@pytest.mark.usefixtures("nothing_small")
def test_training_in_place_leaves_the_file_and_other_models_alone(classifier: Path) -> None:
    before = (classifier / "model.safetensors").read_bytes()
    model, other = (AutoModelForSequenceClassification.from_pretrained(classifier).train() for _ in range(2))
    kept = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(2):
        loss = model(input_ids=torch.tensor([[5, 6]]), labels=torch.tensor([1])).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert not torch.equal(model.head.out.weight, other.head.out.weight)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in other.state_dict().items())
    assert (classifier / "model.safetensors").read_bytes() == before
    model.save_pretrained(classifier)
    assert same_state(AutoModelForSequenceClassification.from_pretrained(classifier), model)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in other.state_dict().items())


PEAK = """
import resource, sys
from headway import AutoModelForCausalLM
import torch
AutoModelForCausalLM.from_pretrained(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = AutoModelForCausalLM.from_pretrained(sys.argv[2])
sum(float(p.sum()) for p in model.parameters())
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024, sum(p.nbytes for p in model.parameters()))
"""


def test_the_peak_of_a_load_is_the_weights(tmp_path: Path) -> None:
    """Property 20: at most 1.1 times the weights, here of 160 MB, all of them touched."""
    small_checkpoint(tmp_path / "small", "llama", "causal-lm")
    config = small_config("llama", hidden_size=512, num_attention_heads=8, num_key_value_heads=8, vocab_size=16000)
    config.intermediate_size, config.num_hidden_layers = 2048, 6
    headway.LlamaForCausalLM(config).save_pretrained(tmp_path / "large")
    out = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / "small"), str(tmp_path / "large")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    peak, weights = map(int, out.split())
    assert weights > 140e6
    assert peak < 1.1 * weights + 8e6


# --- what is not done ---------------------------------------------------------------------------------------------


def test_a_load_draws_no_random_numbers_for_what_the_file_gives(bare: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    AutoModel.from_pretrained(bare)
    assert torch.equal(torch.rand(1), expected)


def test_a_load_makes_each_module_without_values(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a parameter that the file gives was drawn")

    monkeypatch.setattr(pretrained, "initialise", refuse)
    AutoModel.from_pretrained(bare)


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_left_as_it_was(tmp_path: Path, enabled: bool) -> None:
    small_checkpoint(tmp_path, "bert")
    (gc.enable if enabled else gc.disable)()
    try:
        AutoModel.from_pretrained(tmp_path)
        assert gc.isenabled() == enabled
        with pytest.raises(CheckpointError):
            AutoModel.from_pretrained(tmp_path / "nowhere")
        assert gc.isenabled() == enabled
    finally:
        gc.enable()
