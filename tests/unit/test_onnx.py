"""Graphs in onnxruntime say what models say; ``long`` tests export every family with every head."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from headway import ConfigError, ExportError, InputError, OnnxConfig, PreTrainedConfig, PreTrainedModel, export_onnx
from headway.models.plan import BASE, canonical_task
from headway.registry import families, find_family
from small import PAIRS, one_sentence, small_model, writer

CELLS = list(dict.fromkeys((name, canonical_task(find_family(name), task)) for name, task in PAIRS))


def session(path: Path) -> Any:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run(path: Path, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    graph = session(path)
    names = [output.name for output in graph.get_outputs()]
    return dict(zip(names, graph.run(names, {name: np.asarray(value) for name, value in inputs.items()}), strict=True))


def test_a_graph_takes_any_shape_and_padding_on_either_side(tmp_path: Path) -> None:
    model = small_model("bert", "sequence-classification").train()
    report = export_onnx(model, tmp_path / "out")
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert report.paths == (tmp_path / "out" / "model.onnx",)
    assert report.difference is not None
    assert report.difference < 1e-5
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["config.json", "model.onnx"]
    model.eval()
    ids = torch.randint(5, 60, (4, 17))
    mask = torch.ones_like(ids)
    mask[0, :9], mask[1, 3:], mask[2, :2], mask[2, -2:] = 0, 0, 0, 0
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": (ids % 2)}
    found = run(report.paths[0], inputs)
    np.testing.assert_allclose(found["logits"], model(**inputs).logits.detach(), atol=1e-5)


def test_writing_with_a_graph_and_its_past(tmp_path: Path) -> None:
    model = writer("llama")
    (path,) = export_onnx(model, tmp_path, with_past=True).paths
    ids = torch.randint(5, 60, (2, 4))
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    expected = model.generate(ids, attention_mask=mask, max_new_tokens=6, min_new_tokens=6, do_sample=False)
    past = {
        value.name: np.zeros((2, value.shape[1], 0, value.shape[3]), np.float32)
        for value in session(path).get_inputs()
        if value.name.startswith("past")
    }
    written, new, mask = ids.numpy(), ids.numpy(), mask.numpy()
    for _ in range(6):
        found = run(path, {"input_ids": new, "attention_mask": mask, **past})
        found["logits"][..., 2] = -np.inf  # as min_new_tokens forbids the end
        new = found["logits"][:, -1:].argmax(-1)
        written, mask = np.concatenate((written, new), 1), np.concatenate((mask, np.ones_like(new)), 1)
        past = {name: found[name.replace("past_key_values", "present")] for name in past}
    assert written.tolist() == expected.tolist()


@pytest.mark.long
def test_writing_with_two_graphs(tmp_path: Path) -> None:
    model = writer("t5", "seq2seq-lm")
    encoder, decoder = export_onnx(model, tmp_path, with_past=True).paths
    ids = torch.randint(5, 60, (2, 6))
    mask = torch.tensor([[1] * 6, [1] * 3 + [0] * 3])
    expected = model.generate(ids, attention_mask=mask, max_new_tokens=5, min_new_tokens=5, do_sample=False)
    memory = run(encoder, {"input_ids": ids, "attention_mask": mask})
    past = {}
    for value in session(decoder).get_inputs():
        if value.name.endswith((".key", ".value")):
            present = value.name.replace("past_key_values", "present")
            empty = np.zeros((2, value.shape[1], 0, value.shape[3]), np.float32)
            past[value.name] = memory.get(present, empty)
    new = np.full((2, 1), 3)
    written = new
    for _ in range(5):
        found = run(decoder, {"input_ids": new, "encoder_attention_mask": mask, **past})
        found["logits"][..., 2] = -np.inf
        new = found["logits"][:, -1:].argmax(-1)
        written = np.concatenate((written, new), 1)
        past = {name: found.get(name.replace("past_key_values", "present"), held) for name, held in past.items()}
    assert written.tolist() == expected.tolist()


@pytest.mark.parametrize(("name", "task"), CELLS)
@torch.inference_mode()
def test_a_config_knows_the_axes_of_every_head(name: str, task: str) -> None:
    """The names are those of the model's output, and the axes have the sizes that they are said to have."""
    model = small_model(name, task)
    config = OnnxConfig(model.config, task)
    inputs = config.generate_dummy_inputs(batch_size=3, seq_length=9, num_choices=4)
    sizes = {"sequence": 9, "decoder_sequence": 9, "choice": 4}
    found = model(**inputs)
    for field, axes in (*config.inputs.items(), *config.outputs.items()):
        value = inputs.get(field, found.get(field))
        assert {axis: value.shape[axis] for axis in axes} == {axis: sizes.get(size, 3) for axis, size in axes.items()}


def test_inputs_are_those_that_a_family_reads() -> None:
    import headway

    bert = headway.BertOnnxConfig(small_model("bert").config)
    assert bert is not headway.BertOnnxConfig
    assert list(bert.inputs) == ["input_ids", "attention_mask", "token_type_ids"]
    assert list(headway.DistilBertOnnxConfig(small_model("distilbert").config).inputs) == [
        "input_ids",
        "attention_mask",
    ]
    assert list(headway.CLIPOnnxConfig(small_model("clip").config).inputs)[1] == "pixel_values"
    with pytest.raises(ConfigError, match="describes BertConfig, got a GPT2Config"):
        headway.BertOnnxConfig(small_model("gpt2").config)


class PooledOnly(OnnxConfig):
    """One input, one output, and positions that the caller gives."""

    @property
    def inputs(self) -> Mapping[str, Mapping[int, str]]:
        return {name: {0: "rows", 1: "tokens"} for name in ("input_ids", "position_ids")}

    @property
    def outputs(self) -> Mapping[str, Mapping[int, str]]:
        return {"pooler_output": {0: "rows"}}


def test_inputs_and_outputs_of_ones_own(tmp_path: Path) -> None:
    model = small_model("bert")
    report = export_onnx(model, tmp_path, onnx_config=PooledOnly(model.config))
    inputs = {"input_ids": torch.randint(5, 60, (2, 5)), "position_ids": torch.arange(5).flip(0).expand(2, 5)}
    found = run(report.paths[0], inputs)
    assert list(found) == ["pooler_output"]
    np.testing.assert_allclose(found["pooler_output"], model(**inputs).pooler_output.detach(), atol=1e-5)
    assert "rows, tokens" in str(report)


def test_what_differs_is_not_written(tmp_path: Path) -> None:
    class Strict(OnnxConfig):
        atol_for_validation = -1.0

    model = small_model("vit", "image-classification")
    with pytest.raises(ExportError, match="more than") as error:
        export_onnx(model, tmp_path / "out", onnx_config=Strict(model.config, "image-classification"))
    one_sentence(error.value)
    assert not (tmp_path / "out").exists()


class Fickle(PreTrainedModel):
    """A model whose steps hang on its numbers."""

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, input_ids: torch.Tensor, return_dict: bool = True) -> dict[str, torch.Tensor]:
        return {"pooler_output": input_ids * self.weight if input_ids.sum() > 9 else input_ids - self.weight}


def test_what_cannot_be_traced_is_said(tmp_path: Path) -> None:
    class OneInput(PooledOnly):
        @property
        def inputs(self) -> Mapping[str, Mapping[int, str]]:
            return {"input_ids": {0: "rows"}}

    model = Fickle(small_model("bert").config)
    with pytest.raises(ExportError, match="The model of Fickle cannot be traced") as error:
        export_onnx(model, tmp_path / "out", onnx_config=OneInput(model.config))
    one_sentence(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "task", "arguments", "kind", "says"),
    [
        ("bert", "token-classification", {"with_past": True}, InputError, "does not write"),
        ("bert", "causal-lm", {"with_past": True}, InputError, "does not write"),
        ("mamba2", "causal-lm", {"with_past": True}, ExportError, "keeps a state"),
        ("bert", BASE, {"task": "masked-lm"}, InputError, "whose task is base"),
        ("bert", BASE, {"onnx_config": PooledOnly(PreTrainedConfig()), "with_past": True}, InputError, "with_past"),
    ],
)
def test_what_makes_no_sense_is_refused(
    name: str, task: str, arguments: dict[str, Any], kind: type[Exception], says: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=says) as error:
        export_onnx(small_model(name, task), tmp_path / "out", **arguments)
    one_sentence(error.value)
    assert not (tmp_path / "out").exists()


def test_other_things_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Expected a model of headway"):
        export_onnx(torch.nn.Linear(2, 2), tmp_path)
    with pytest.raises(ConfigError, match="Did you mean 'masked-lm'"):
        assert OnnxConfig(small_model("bert").config, "maskedlm").inputs
    with pytest.raises(InputError, match="bfloat16"):
        export_onnx(small_model("bert").bfloat16(), tmp_path)
    with pytest.raises(ExportError, match="Quantised layers"):
        export_onnx(small_model("gpt2", "causal-lm").quantize("int8"), tmp_path)
    with pytest.raises(InputError, match="No values can be drawn for 'sound'"):
        type("Other", (OnnxConfig,), {"inputs": {"sound": {0: "batch"}}})(PreTrainedConfig()).generate_dummy_inputs()


@pytest.mark.long
@pytest.mark.parametrize(("name", "task"), CELLS)
def test_every_family_exports_with_every_head(name: str, task: str, tmp_path: Path) -> None:
    report = export_onnx(small_model(name, task), tmp_path)
    assert report.difference is not None
    assert report.difference < 1e-4


@pytest.mark.long
@pytest.mark.parametrize(("name", "task"), [cell for cell in CELLS if cell[1] in ("causal-lm", "seq2seq-lm")])
def test_every_writer_exports_with_its_past(name: str, task: str, tmp_path: Path) -> None:
    model = small_model(name, task)
    if name == "mamba2" or not getattr(model, "is_causal", True):
        pytest.skip("there is no such past")
    report = export_onnx(model, tmp_path, with_past=True)
    assert report.difference is not None
    assert report.difference < 1e-4


def test_every_family_has_a_config_of_graphs() -> None:
    import headway

    for family in families().values():
        name = family.config.__name__.removesuffix("Config") + "OnnxConfig"
        assert getattr(headway, name).family is family


def test_the_page_says_what_comes_of_every_family_with_every_head() -> None:
    page = (Path(__file__).parents[2] / "docs" / "onnx.md").read_text()
    said = {
        name: re.findall(r"●|\[\d+\]", row) for name, row in re.findall(r"^\| `([\w-]+)` \|(.*)$", page, re.MULTILINE)
    }
    known = [*CELLS, *((name, f"{task} with past") for name, task in CELLS if task in ("causal-lm", "seq2seq-lm"))]
    assert {name: len(marks) for name, marks in said.items()} == Counter(name for name, _ in known)
    notes = {mark for marks in said.values() for mark in marks if mark != "●"}
    assert all(f"\n{note} " in page for note in notes)
    assert "○" not in page
