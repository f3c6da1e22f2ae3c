"""Quirks of the names of tensors: wrappers of programs, prefixes seen from both sides, and what a load says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from headway import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification
from headway.errors import WeightsError
from headway.models.assemble import model_class
from small import one_sentence, same_state, small_checkpoint

Tensors = dict[str, Tensor]
FAMILIES = [
    ("bert", "masked-lm"),
    ("roberta", "sequence-classification"),
    ("distilbert", "sequence-classification"),
    ("electra", "token-classification"),
    ("gpt2", "causal-lm"),
    ("llama", "sequence-classification"),
    ("bart", "seq2seq-lm"),
    ("t5", "seq2seq-lm"),
]


def rename(folder: Path, change: Callable[[str], str]) -> None:
    held = load_file(folder / "model.safetensors")
    save_file({change(name): tensor.clone() for name, tensor in held.items()}, folder / "model.safetensors")


@pytest.mark.parametrize(("model_type", "task"), FAMILIES)
@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "model.module.", "base_model.model.", "net.0."])
def test_quirk_26_every_wrapper_around_every_family(tmp_path: Path, model_type: str, task: str, wrapper: str) -> None:
    kind = model_class(model_type, task)
    expected = kind.from_pretrained(small_checkpoint(tmp_path, model_type, task))
    rename(tmp_path, lambda name: wrapper + name)
    model = kind.from_pretrained(tmp_path)
    assert model.load_report.clean
    assert same_state(model, expected)


@pytest.mark.parametrize("wrapper", ["encoder.", "model.encoder.", "a.b.c."])
def test_quirk_26_a_wrapper_around_the_backbone_alone(tmp_path: Path, wrapper: str) -> None:
    """Programs put a bare backbone into a module of their own, and a head beside it."""
    kind = model_class("bert", "sequence-classification")
    expected = kind.from_pretrained(small_checkpoint(tmp_path, "bert", "sequence-classification"))
    rename(tmp_path, lambda name: name.replace("bert.", wrapper, 1) if name.startswith("bert.") else name)
    model = kind.from_pretrained(tmp_path)
    assert model.load_report.clean
    assert same_state(model, expected)


def test_quirk_26_a_head_elsewhere_is_not_taken_for_ours(tmp_path: Path) -> None:
    expected = AutoModel.from_pretrained(small_checkpoint(tmp_path, "bert"))
    held = {name: tensor.clone() for name, tensor in load_file(tmp_path / "model.safetensors").items()}
    extra = {"image.classifier.weight": torch.ones(2, 16), "image.classifier.bias": torch.ones(2)}
    save_file({**{f"text.{name}": tensor for name, tensor in held.items()}, **extra}, tmp_path / "model.safetensors")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert same_state(model.backbone, expected.backbone)
    assert set(model.load_report.new) == {"head.out.weight", "head.out.bias"}
    assert set(model.load_report.left_over) == set(extra)


def test_quirk_25_a_prefix_ends_where_a_segment_ends(tmp_path: Path) -> None:
    kind = model_class("llama", "causal-lm")
    expected = kind.from_pretrained(small_checkpoint(tmp_path, "llama", "causal-lm"))
    for prefix in ("language_model.", "submodel."):  # both end in "model."
        folder = tmp_path / prefix
        expected.save_pretrained(folder)
        rename(folder, lambda name, prefix=prefix: name.replace("model.", prefix, 1))  # type: ignore[misc]
        model = kind.from_pretrained(folder)
        assert model.load_report.clean
        assert same_state(model, expected)


@pytest.mark.parametrize("model_type", ["bert", "llama", "t5", "vit"])
def test_quirk_25_nothing_of_the_backbone_is_an_error_never_random(tmp_path: Path, model_type: str) -> None:
    small_checkpoint(tmp_path, model_type)
    rename(tmp_path, lambda name: f"{name.rpartition('.')[0]}_renamed.{name.rpartition('.')[2]}")
    with pytest.raises(WeightsError, match=r"of the .* backbone") as caught:
        AutoModel.from_pretrained(tmp_path)
    assert str(tmp_path) in one_sentence(caught.value)


def test_quirk_24_gamma_and_beta_of_norms_alone(tmp_path: Path) -> None:
    """Under a wrapper too, where what stands before names is counted."""
    kind = model_class("bert", "masked-lm")
    expected = kind.from_pretrained(small_checkpoint(tmp_path, "bert", "masked-lm"))
    spelling = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}

    def old(name: str) -> str:
        for new, before in spelling.items():
            name = name.replace(new, before)
        return f"module.{name}"

    rename(tmp_path, old)
    model = kind.from_pretrained(tmp_path)
    assert model.load_report.clean
    assert same_state(model, expected)


def test_quirk_42_a_report_by_pattern(tmp_path: Path) -> None:
    small_checkpoint(tmp_path, "gpt2", num_hidden_layers=4)
    held = {name: tensor.clone() for name, tensor in load_file(tmp_path / "model.safetensors").items()}
    extra = {f"h.{i}.adapter.down.weight": torch.ones(2) for i in range(4)}
    save_file({**held, **extra}, tmp_path / "model.safetensors")
    model, info = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert info["unexpected_keys"] == set(extra)
    assert "h.{0..3}.adapter.down.weight" in str(model.load_report)


def test_loads_after_one_another_do_not_mix(tmp_path: Path) -> None:
    """Names are worked out once for equal tables: other configs, heads and files give others."""
    folders = [
        small_checkpoint(tmp_path / str(i), "bert", task, **values)
        for i, (task, values) in enumerate(
            [
                ("masked-lm", {}),
                ("masked-lm", {"tie_word_embeddings": False}),
                ("sequence-classification", {"num_hidden_layers": 1}),
                ("base", {}),
            ]
        )
    ]
    for _ in range(2):
        for folder in folders:
            for kind in (AutoModel, model_class("bert", "masked-lm")):
                model: Any = kind.from_pretrained(folder)
                held = load_file(folder / "model.safetensors")
                words = next(t for name, t in held.items() if name.endswith("word_embeddings.weight"))
                assert torch.equal(model.get_input_embeddings().weight, words)
                layers = {name.partition("layer.")[2][0] for name in held if "encoder.layer." in name}
                assert len(model.backbone.layers) == len(layers)


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    for value in (1.0, 2.0):  # equal headers, of files of one size
        save = small_checkpoint(tmp_path, "bert")
        held = {name: torch.full_like(t, value) for name, t in load_file(save / "model.safetensors").items()}
        save_file(held, tmp_path / "model.safetensors")
        assert float(AutoModel.from_pretrained(tmp_path).get_input_embeddings().weight[0, 0].detach()) == value
