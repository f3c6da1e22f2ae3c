"""Files of one head load into models with another, and files in older spellings load as those of today do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import headway
from headway.heads import HEADS
from headway.models.assemble import model_class
from headway.models.plan import BASE, part_for, plan
from parity.compare import assert_close
from parity.inputs import collate, config_of, make_rows
from parity.matrix import every_cell
from parity.oracle import Cell, pair
from parity.variants import VARIANTS


def key(cell: Cell) -> tuple[str, str]:
    return cell.model_type, cell.task


def is_whole(cell: Cell) -> bool:
    """Does the cell's file hold all of the backbone?"""
    kinds = [model_class(cell.model_type, task) for task in (cell.task, BASE)]
    plans = [plan(kind.family, kind.task, config_of(cell)) for kind in kinds]
    return plans[0].parts == plans[1].parts and plans[0].backbone == plans[1].backbone


def adds_a_head(cell: Cell) -> bool:
    """Has the cell's model more than the family's bare one?"""
    return model_class(*key(cell)) is not model_class(cell.model_type, BASE)


@every_cell(lambda cell: cell.variant == "plain" and cell.task != BASE and is_whole(cell))
def test_the_backbone_of_a_file_with_a_head(cell: Cell) -> None:
    both = pair(cell)
    model = model_class(cell.model_type, BASE).from_pretrained(both.folder)
    assert not [name for name in model.load_report.new if "pooler" not in name]
    state = both.ours.state_dict()
    assert all(torch.equal(tensor, state.get(name, tensor)) for name, tensor in model.state_dict().items())


@every_cell(lambda cell: cell.variant == "plain" and adds_a_head(cell))
@torch.no_grad()
def test_a_new_head_on_the_backbone_of_a_file(cell: Cell) -> None:
    both = pair(Cell(cell.model_type, BASE))
    model = model_class(*key(cell)).from_pretrained(both.folder)
    report = model.load_report
    assert report.new or model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert all(name.startswith("head.") for name in report.new), report.new
    theirs, part = both.ours.state_dict(), part_for(HEADS[model.task], both.ours.plan.backbone)
    path = "backbone." if part is None else f"backbone.{part}."
    ours = {name.replace("backbone.", path, 1): tensor for name, tensor in model.state_dict().items()}
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items() if name.startswith("backbone."))


def rewritten(folder: Path, to: Path, config: Any = None, weights: Any = None) -> Path:
    """A copy of a checkpoint with ``config`` and ``weights`` changed by functions."""
    shutil.copytree(folder, to)
    if config is not None:
        values = json.loads((to / "config.json").read_text())
        config(values)
        (to / "config.json").write_text(json.dumps(values))
    if weights is not None:
        tensors = load_file(to / "model.safetensors")
        save_file(weights(tensors), to / "model.safetensors", {"format": "pt"})
    return to


@pytest.mark.parametrize("variant", [name for name in VARIANTS["llama"] if name.startswith("rope")])
@torch.no_grad()
def test_rope_scaling_beside_rope_theta(variant: str, tmp_path: Path) -> None:
    both = pair(Cell("llama", BASE, variant))

    def older(values: dict[str, Any]) -> None:
        rope = values.pop("rope_parameters")
        values["rope_theta"] = rope.pop("rope_theta")
        values["rope_scaling"] = {"type" if name == "rope_type" else name: value for name, value in rope.items()}
        if rope["rope_type"] == "default":
            values["rope_scaling"] = None

    model = type(both.ours).from_pretrained(rewritten(both.folder, tmp_path / "older", older))
    inputs = collate(make_rows(both.cell))
    assert_close(model(**inputs), both.oracle(**inputs))


@torch.no_grad()
def test_t5_files_that_say_that_their_output_layer_is_their_own(tmp_path: Path) -> None:
    both = pair(Cell("t5", "seq2seq-lm", "gated"))

    def older(values: dict[str, Any]) -> None:
        del values["scale_decoder_outputs"]
        values["tie_word_embeddings"] = False

    model = type(both.ours).from_pretrained(rewritten(both.folder, tmp_path / "older", older))
    inputs = collate(make_rows(both.cell))
    assert_close(model(**inputs), both.oracle(**inputs))


@torch.no_grad()
def test_umt5_files_that_say_that_their_output_layer_is_their_own(tmp_path: Path) -> None:
    """So do those of the hub; transformers scales the states all the same, which T5 does for a tied table alone."""
    both = pair(Cell("umt5", "seq2seq-lm", "own-head"))

    def untied(values: dict[str, Any]) -> None:
        values["tie_word_embeddings"] = False

    model = type(both.ours).from_pretrained(rewritten(both.folder, tmp_path / "hub", untied))
    inputs = collate(make_rows(both.cell))
    assert_close(model(**inputs).logits, both.oracle(**inputs).logits * both.values["d_model"] ** 0.5)


@pytest.mark.parametrize(("model_type", "leaf"), [("marian", "weight"), ("pegasus", "weight"), ("m2m_100", "weights")])
def test_files_that_hold_computed_positions(model_type: str, leaf: str, tmp_path: Path) -> None:
    both = pair(Cell(model_type, "seq2seq-lm"))
    names = [f"model.{side}.embed_positions.{leaf}" for side in ("encoder", "decoder")]

    def older(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return tensors | {name: torch.zeros(66, 32) for name in names}

    model = type(both.ours).from_pretrained(rewritten(both.folder, tmp_path / "older", weights=older))
    assert model.load_report.clean, str(model.load_report)
    assert {*names} <= {*model.load_report.ignored}
    state = both.ours.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_the_output_layer_is_tied_to_the_table_of_the_decoder() -> None:
    model = pair(Cell("marian", "seq2seq-lm", "own-vocabularies")).ours
    assert model.get_output_embeddings().weight is model.backbone.decoder.embed.tokens.weight
    assert model.get_input_embeddings().weight is model.backbone.encoder.embed.tokens.weight


@pytest.mark.parametrize("task", [BASE, "masked-lm"])
def test_nomic_files_with_the_names_of_modules(task: str, tmp_path: Path) -> None:
    """transformers writes the hub's names; a state that is saved by other means has those of its modules."""
    both = pair(Cell("nomic_bert", task))
    state = {name: tensor.clone() for name, tensor in both.theirs.state_dict().items()}
    model = type(both.ours).from_pretrained(rewritten(both.folder, tmp_path / "other", weights=lambda tensors: state))
    assert model.load_report.clean, str(model.load_report)
    ours = both.ours.state_dict()
    assert all(torch.equal(tensor, ours[name]) for name, tensor in model.state_dict().items())


@torch.no_grad()
def test_nomic_configs_of_the_hub(tmp_path: Path) -> None:
    both = pair(Cell("nomic_bert", BASE))
    names = {"hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head"}
    names |= {"intermediate_size": "n_inner", "max_position_embeddings": "n_positions"}

    def older(values: dict[str, Any]) -> None:
        for now, once in names.items():
            values[once] = values.pop(now)
        values["rotary_emb_base"] = values.pop("rope_parameters")["rope_theta"]
        values |= {"activation_function": "swiglu", "head_dim": None}
        del values["hidden_act"]

    model = type(both.ours).from_pretrained(rewritten(both.folder, tmp_path / "older", older))
    inputs = collate(make_rows(both.cell))
    assert_close(model(**inputs), both.oracle(**inputs))


@torch.no_grad()
def test_modernbert_configs_of_the_hub(tmp_path: Path) -> None:
    both = pair(Cell("modernbert", BASE, "window"))

    def older(values: dict[str, Any]) -> None:
        del values["layer_types"], values["rope_parameters"]
        values |= {"global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0}

    model = type(both.ours).from_pretrained(rewritten(both.folder, tmp_path / "older", older))
    inputs = collate(make_rows(both.cell))
    assert_close(model(**inputs), both.oracle(**inputs))


@torch.no_grad()
def test_esm_files_with_frequencies_in_every_layer(tmp_path: Path) -> None:
    both = pair(Cell("esm", "masked-lm", "rotary"))

    def older(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        star = next(name for name in tensors if ".*." in name)
        frequencies = tensors.pop(star)
        tensors["esm.embeddings.position_embeddings.weight"] = torch.randn(64, 32)
        return tensors | {star.replace("*", str(layer)): frequencies.clone() for layer in range(3)}

    model = type(both.ours).from_pretrained(rewritten(both.folder, tmp_path / "older", weights=older))
    assert model.load_report.clean, str(model.load_report)
    inputs = collate(make_rows(both.cell))
    assert_close(model(**inputs), both.oracle(**inputs))


@every_cell(lambda cell: cell.variant == "plain" and cell.task in (BASE, "masked-lm", "causal-lm", "seq2seq-lm"))
def test_files_with_every_tied_copy(cell: Cell, tmp_path: Path) -> None:
    """Files of old hold a tensor once for each of its names."""
    both = pair(cell)
    copies = {name: tensor.clone() for name, tensor in both.theirs.state_dict().items()}

    def older(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        known = {tensor.data_ptr() for name, tensor in both.theirs.state_dict().items() if name in tensors}
        more = {name for name, tensor in both.theirs.state_dict().items() if tensor.data_ptr() in known}
        return tensors | {name: copies[name] for name in more}

    model = type(both.ours).from_pretrained(rewritten(both.folder, tmp_path / "older", weights=older))
    assert model.load_report.clean, str(model.load_report)
    state = both.ours.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("model_type", ["bert", "electra", "albert", "roberta"])
def test_norms_called_gamma_and_beta(model_type: str, tmp_path: Path) -> None:
    both = pair(Cell(model_type, "masked-lm"))

    def older(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        pairs = (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta"))
        for now, once in pairs:
            tensors = {name.replace(now, once): tensor for name, tensor in tensors.items()}
        return tensors

    model = type(both.ours).from_pretrained(rewritten(both.folder, tmp_path / "older", weights=older))
    assert model.load_report.clean, str(model.load_report)
    state = both.ours.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


@every_cell(lambda cell: cell.variant == "plain" and cell.task in (BASE, "causal-lm"))
def test_files_with_all_experts_in_one_tensor(cell: Cell, tmp_path: Path) -> None:
    """Experts are stored one by one or stacked, and one model loads both."""
    both = pair(cell)
    if not both.ours.plan.names.read:
        return
    held = {name: tensor.clone() for name, tensor in both.theirs.state_dict().items()}
    assert {*held} != {*both.stored}
    model = type(both.ours).from_pretrained(rewritten(both.folder, tmp_path / "other", weights=lambda _: held))
    assert model.load_report.clean, str(model.load_report)
    assert not model.load_report.left_over
    state = both.ours.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


@torch.no_grad()
def test_a_file_with_a_head_that_learned_from_a_teacher() -> None:
    """It is both heads where its own class is known by the config, and the other head where it is asked for alone."""
    both = pair(Cell("deit", "image-classification-with-teacher"))
    inputs = collate(make_rows(both.cell))
    model = headway.AutoModelForImageClassification.from_pretrained(both.folder)
    assert type(model) is type(both.ours)
    assert_close(model(**inputs), both.oracle(**inputs))
    alone = headway.DeiTForImageClassification.from_pretrained(both.folder)
    assert {*alone.load_report.left_over} == {"distillation_classifier.weight", "distillation_classifier.bias"}
    assert_close(alone(**inputs).logits, both.oracle(**inputs).cls_logits)
    plain = headway.AutoModelForImageClassification.from_pretrained(pair(Cell("deit", "image-classification")).folder)
    assert type(plain) is headway.DeiTForImageClassification


@pytest.mark.parametrize("variant", ["relative", "shared-relative"])
def test_files_that_hold_what_is_computed_of_the_grid(variant: str, tmp_path: Path) -> None:
    both = pair(Cell("beit", "image-classification", variant))

    def older(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        tables = [name for name in tensors if name.endswith("relative_position_bias_table")]
        assert tables
        return tensors | {name.replace("bias_table", "index"): torch.zeros(10, 10).long() for name in tables}

    model = type(both.ours).from_pretrained(rewritten(both.folder, tmp_path / "older", weights=older))
    assert model.load_report.clean, str(model.load_report)
